package ownership

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/test/e2e/harness"
)

const fluxUser = "system:serviceaccount:flux-system:kustomize-controller"

func TestOurs(t *testing.T) {
	byFlux := appliedBy("flux", set(int64(3), replicas...))
	fluxReplicas := []string{`"flux" .spec.replicas`}
	notFlux := `"bob" is not "flux"`
	k := &deployments
	taken := []string{`sluice: this write takes .spec.replicas from "A"`}
	runAll(t, map[string]acceptanceCase{
		"62. nothing tells who removes A's field":      {kind: k, past: []step{appliedBy("A", both(labelled("a", "1"), labelled("b", "1")))}, write: write{unnamed: true, edit: unset("metadata", "labels", "a")}, allowed: true, warned: []string{`sluice: this write takes .metadata.labels.a from "A"`}},
		"62. a change names its writer":                {kind: k, past: []step{three}, write: write{unnamed: true, edit: five}, want: aReplicas},
		"62. the owner is bound to others":             {past: []step{byFlux}, write: write{unnamed: true, edit: unset(replicas...)}, want: fluxReplicas, unlike: removal},
		"62. the user is bound to the owner":           {past: []step{byFlux, textByA}, write: write{unnamed: true, user: fluxUser, edit: unset(replicas...)}, allowed: true},
		"62. who pretends to be flux changes":          {past: []step{byFlux}, write: write{manager: "flux", edit: five}, want: fluxReplicas, unlike: "to the API server the name is enough: " + notFlux},
		"62. who pretends to be flux removes":          {past: []step{byFlux}, write: write{manager: "flux", edit: unset(replicas...)}, want: fluxReplicas, unlike: removal},
		"62. who pretends to be flux applies":          {verbs: []verb{apply}, past: []step{byFlux}, write: write{manager: "flux", edit: five}, want: fluxReplicas, unlike: "to the API server the name is enough"},
		"62. who pretends to be flux writes elsewhere": {past: []step{byFlux}, write: write{manager: "flux", edit: labelled("a", "1")}, allowed: true},
		"62. flux itself changes":                      {past: []step{byFlux}, write: write{manager: "flux", user: fluxUser, edit: five}, allowed: true},
		"62. a further name of Argo CD's":              {past: []step{appliedBy("argocd-controller", three.write.edit)}, write: write{manager: "argocd-application-controller", edit: five}, allowed: true},
		"65. an owner that is not protected":           {kind: k, past: []step{updated("kubectl-edit", five)}, write: write{edit: three.write.edit}, allowed: true, warned: []string{`sluice: this write takes .spec.replicas from "kubectl-edit" using apps/v1`}},
		"the object says warn":                         {past: []step{three, updated("root", annotated("sluice.dev/ownership", "warn"))}, write: write{edit: five}, allowed: true, warned: []string{taken[0] + ", which sluice.dev/ownership=enforce would refuse"}},
		"the object frees the field":                   {past: []step{three, updated("root", annotated("sluice.dev/ownership-ignore", ".spec.replicas"))}, write: write{edit: five}, allowed: true},
		"an annotation names the version: no right":    {past: []step{three}, write: write{edit: both(five, forceAnnotation)}, want: aReplicas, unlike: "the ways out begin otherwise"},
		"an annotation names the version":              {past: []step{three}, write: write{user: "fiona", edit: both(five, forceAnnotation)}, allowed: true, unsaid: true, warned: []string{taken[0] + ", by force"}},
	})
}

// forceAnnotation means to take what others own, in this write only.
func forceAnnotation(o manifest) {
	version, _ := o["metadata"].(manifest)["resourceVersion"].(string)
	annotated("sluice.dev/force-conflicts", version)(o)
}

// An apply with force is allowed, and the audit log says what it took.
func TestForcedApplyIsAudited(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	o := object{deployments, n.Name, "forced"}
	o.history(t, three)
	a := o.send(t, apply, write{edit: five})
	require.NoError(t, a.err)
	require.Empty(t, a.warnings)
	o.hasAudit(t, n, "owners.sluice.dev/ignored", `.spec.replicas of "A"`)
}

// hasAudit waits until the audit log says this of a write to the object.
func (o object) hasAudit(t *testing.T, n *harness.Namespace, key, want string) {
	t.Helper()
	eventually(t, "the audit log says "+key, func() error {
		for _, annotations := range n.AuditOf(o.kind.resource.Resource, o.name) {
			if annotations[key] == want {
				return nil
			}
		}
		return errors.New("it does not")
	})
}

// Its finalizers come off, whoever owns what.
func TestAnObjectThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	for _, k := range []kind{things, deployments} {
		for _, v := range k.verbs() {
			o := object{k, n.Name, "65-" + string(v)}
			o.history(t, appliedBy("A", both(three.write.edit, finalizers("example.com/a"))))
			w := write{user: "root"}
			require.NoError(t, o.client(t, w, nil).Delete(t.Context(), o.name, metav1.DeleteOptions{}))
			require.NotNil(t, o.live(t, w).GetDeletionTimestamp())

			a := o.send(t, v, write{edit: both(five, unset("metadata", "finalizers"))})

			require.NoError(t, a.err, v)
			require.Empty(t, a.warnings)
			_, err := o.client(t, w, nil).Get(t.Context(), o.name, metav1.GetOptions{})
			require.True(t, apierrors.IsNotFound(err), "%v", err)
		}
	}
}
