package ownership

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// machine is a user for whose writes sluice is never called: an object's past is written as it.
const machine = "system:kube-controller-manager"

// groups of the users that these tests know; all others are editors. What those may do is in resources_test.go.
var groups = map[string][]string{
	machine: {"system:masters"},
	"root":  {"system:masters"},
	"fiona": {"ownership-editors", "ownership-forcers"},
}

// verb is how a write gets to the API server.
type verb string

const (
	put       verb = "put"
	merge     verb = "merge"
	strategic verb = "strategic"
	jsonPatch verb = "json"
	apply     verb = "apply" // server-side, with force, of what the edit makes of an object without anything
)

// write is a request to an object with owners.
type write struct {
	manager     string // the field manager, or the user agent's name
	unnamed     bool   // the request names no field manager
	user        string // bob where empty
	version     string // of the API, the kind's own where empty
	subresource string
	edit        func(manifest)
	// claims is what the body says for managedFields.
	claims func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry
	dryRun bool
}

// answer is what the API server said.
type answer struct {
	stored   *unstructured.Unstructured
	err      error
	warnings []string
}

// status returns the refusal as machines read it.
func (a answer) status(t *testing.T) metav1.Status {
	t.Helper()
	require.Error(t, a.err)
	var status apierrors.APIStatus
	require.ErrorAs(t, a.err, &status)
	return status.Status()
}

// listener keeps the warnings of one client.
type listener struct {
	mu   sync.Mutex
	said []string
}

func (l *listener) HandleWarningHeader(_ int, _, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, text)
}

// clientOf returns a client of a user, whose program has a name.
func clientOf(t *testing.T, user, agent string, warnings rest.WarningHandler) dynamic.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", env.Cluster.Kubeconfig("admin"))
	require.NoError(t, err)
	config.QPS, config.WarningHandler, config.UserAgent = -1, warnings, agent+"/v1 (linux)"
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups[user]}
	if config.Impersonate.Groups == nil {
		config.Impersonate.Groups = []string{"ownership-editors"}
	}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// object is one that a test writes to.
type object struct {
	kind            kind
	namespace, name string
}

func (o object) client(t *testing.T, w write, said rest.WarningHandler) dynamic.ResourceInterface {
	t.Helper()
	resource := o.kind.resource
	if w.version != "" {
		resource.Version = w.version
	}
	user := w.user
	if user == "" {
		user = "bob"
	}
	client := clientOf(t, user, w.name(), said).Resource(resource)
	if o.namespace == "" {
		return client
	}
	return client.Namespace(o.namespace)
}

func (w write) name() string {
	if w.manager == "" {
		return "U"
	}
	return w.manager
}

func (w write) path() []string {
	if w.subresource == "" {
		return nil
	}
	return []string{w.subresource}
}

// live returns the object as the writer sees it.
func (o object) live(t *testing.T, w write) *unstructured.Unstructured {
	t.Helper()
	w.user = "root"
	live, err := o.client(t, w, rest.NoWarnings{}).Get(t.Context(), o.name, metav1.GetOptions{}, w.path()...)
	require.NoError(t, err)
	return live
}

// send makes a write by a verb. Where a controller wrote in between, it is made again.
func (o object) send(t *testing.T, v verb, w write) answer {
	t.Helper()
	for tries := 0; ; tries++ {
		a := o.try(t, v, w)
		if !apierrors.IsConflict(a.err) || v == apply || tries == 20 {
			return a
		}
	}
}

func (o object) try(t *testing.T, v verb, w write) answer {
	t.Helper()
	said := &listener{}
	client := o.client(t, w, said)
	options := metav1.UpdateOptions{FieldManager: w.name()}
	if w.unnamed {
		options.FieldManager = ""
	}
	if w.dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	var stored *unstructured.Unstructured
	var err error
	if v == put {
		stored, err = client.Update(t.Context(), o.body(o.live(t, w), w), options, w.path()...)
	} else {
		kind, patch := o.patch(t, v, w)
		force := (*bool)(nil)
		if v == apply {
			yes := true
			force = &yes
		}
		stored, err = client.Patch(t.Context(), o.name, kind, patch,
			metav1.PatchOptions{FieldManager: options.FieldManager, DryRun: options.DryRun, Force: force}, w.path()...)
	}
	return answer{stored, err, said.said}
}

// body returns the object as the writer wants it.
func (o object) body(live *unstructured.Unstructured, w write) *unstructured.Unstructured {
	body := live.DeepCopy()
	if w.edit != nil {
		w.edit(body.Object)
	}
	if w.claims != nil {
		entries := w.claims(body.GetManagedFields())
		body.SetManagedFields(entries)
		if len(entries) == 0 {
			body.Object["metadata"].(manifest)["managedFields"] = []any{}
		}
	}
	return body
}

func (o object) patch(t *testing.T, v verb, w write) (types.PatchType, []byte) {
	t.Helper()
	if v == apply {
		return types.ApplyPatchType, o.config(t, w)
	}
	live := o.live(t, w)
	body := o.body(live, w)
	before, after := encoded(t, live.Object), encoded(t, body.Object)
	var patch []byte
	var err error
	var patchType types.PatchType
	switch v {
	case merge:
		patchType = types.MergePatchType
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(before, after, before)
	case strategic:
		patchType = types.StrategicMergePatchType
		patch, err = strategicpatch.CreateTwoWayMergePatch(before, after, o.kind.typed[w.subresource])
	case jsonPatch:
		patchType = types.JSONPatchType
		patch = encoded(t, difference("", live.Object, body.Object))
		if string(patch) == "null" {
			patch = []byte("[]")
		}
	case put, apply:
		err = errors.New("this is no patch")
	}
	require.NoError(t, err)
	return patchType, patch
}

// config is what an apply says: the edit, of an object that has nothing but its identity.
func (o object) config(t *testing.T, w write) []byte {
	t.Helper()
	config := o.kind.empty(o.namespace, o.name, w)
	if w.edit != nil {
		w.edit(config)
	}
	return encoded(t, config)
}

// native returns what the API server itself says to the same change as an apply without force, in a dry run.
func (o object) native(t *testing.T, w write) metav1.Status {
	t.Helper()
	_, err := o.client(t, w, rest.NoWarnings{}).Patch(t.Context(), o.name, types.ApplyPatchType, o.config(t, w),
		metav1.PatchOptions{FieldManager: w.name(), DryRun: []string{metav1.DryRunAll}}, w.path()...)
	return answer{err: err}.status(t)
}

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return text
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }

func (o object) String() string { return fmt.Sprintf("%s %s/%s", o.kind.name, o.namespace, o.name) }
