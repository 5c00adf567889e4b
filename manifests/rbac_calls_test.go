package manifests_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
)

// call is a place in the product's code that needs a permission.
type call struct {
	file string // below the module's root
	code string // a piece of it
}

// calls has every permission of sluice's ServiceAccount, by role, resource,
// name and verb, and one call that needs it.
var calls = map[string]call{
	"cluster namespaces get":   {"webhook/observe.go", "o.reader.Get(ctx, types.NamespacedName{Name: name}, namespace)"},
	"cluster namespaces list":  {"hashing/controller/setup.go", "source.TypedKind(t.users.cache, client.Object(namespace)"},
	"cluster namespaces watch": {"hashing/controller/setup.go", "source.TypedKind(t.users.cache, client.Object(namespace)"},

	"cluster configmaps list":  {"hashing/controller/watch.go", "resource.List(ctx, metav1.ListOptions{Limit: 1})"},
	"cluster configmaps watch": {"hashing/controller/watch.go", "watchtools.NewRetryWatcherWithContext("},
	"cluster secrets list":     {"hashing/controller/watch.go", "resource.List(ctx, metav1.ListOptions{Limit: 1})"},
	"cluster secrets watch":    {"hashing/controller/watch.go", "watchtools.NewRetryWatcherWithContext("},

	"cluster apps/daemonsets get":   {"hashing/controller/observe.go", "r.live.Get(ctx, w.NamespacedName, s.object)"},
	"cluster apps/daemonsets list":  {"hashing/controller/setup.go", "source.TypedKind(t.users.cache, k.object"},
	"cluster apps/daemonsets watch": {"hashing/controller/setup.go", "source.TypedKind(t.users.cache, k.object"},
	"cluster apps/daemonsets patch": {"hashing/controller/reconcile.go", "r.live.Patch(ctx, target"},

	"cluster configmaps get": {"hashing/live/read.go", "c.Get(ctx, key, &configMap)"},
	"cluster secrets get":    {"hashing/live/read.go", "c.Get(ctx, key, &secret)"},
	"cluster pods list":      {"canary/controller/trouble.go", "r.client.List(ctx, pods"},
	"cluster events list":    {"canary/controller/statefulset.go", "r.client.List(ctx, events"},
	"cluster pods delete":    {"canary/controller/statefulset.go", `r.deleteExactly(ctx, &s.pods[i], "pod")`},

	"cluster apps/deployments get":   {"canary/controller/observe.go", "r.client.Get(ctx, key, object)"},
	"cluster apps/deployments list":  {"canary/controller/canaryset.go", `deploymentKind.GroupVersion().WithKind("DeploymentList")`},
	"cluster apps/deployments watch": {"canary/controller/setup.go", "For(&appsv1.Deployment{}"},
	"cluster apps/deployments patch": {"canary/controller/apply.go", "r.client.Patch(ctx, target"},

	"cluster apps/statefulsets get":   {"canary/controller/observe.go", "r.client.Get(ctx, key, object)"},
	"cluster apps/statefulsets list":  {"canary/controller/setup.go", "For(&appsv1.StatefulSet{}"},
	"cluster apps/statefulsets watch": {"canary/controller/setup.go", "For(&appsv1.StatefulSet{}"},
	"cluster apps/statefulsets patch": {"canary/controller/apply.go", "r.client.Patch(ctx, target"},

	"cluster apps/deployments/status patch":  {"canary/controller/condition.go", "r.client.Status().Patch(ctx, target"},
	"cluster apps/statefulsets/status patch": {"canary/controller/condition.go", "r.client.Status().Patch(ctx, target"},

	"cluster apps/daemonsets/status patch": {"hashing/controller/condition.go", "r.live.Status().Patch(ctx, target"},

	"cluster apps/replicasets get":    {"canary/controller/canaryset.go", "r.client.Get(ctx, client.ObjectKeyFromObject(want), found)"},
	"cluster apps/replicasets list":   {"canary/controller/observe.go", `replicaSetKind.GroupVersion().WithKind("ReplicaSetList")`},
	"cluster apps/replicasets watch":  {"canary/controller/setup.go", "Watches(&appsv1.ReplicaSet{}"},
	"cluster apps/replicasets create": {"canary/controller/canaryset.go", "r.client.Create(ctx, rs"},
	"cluster apps/replicasets update": {"canary/controller/handover.go", "r.client.Update(ctx, changed"},
	"cluster apps/replicasets delete": {"canary/controller/handover.go", `r.deleteExactly(ctx, rs.object, "replica set")`},

	"cluster apps/controllerrevisions get":    {"canary/controller/stable.go", "r.client.Get(ctx, client.ObjectKeyFromObject(want), found)"},
	"cluster apps/controllerrevisions list":   {"canary/controller/stable.go", "r.client.List(ctx, list"},
	"cluster apps/controllerrevisions create": {"canary/controller/stable.go", "r.client.Create(ctx, record"},
	"cluster apps/controllerrevisions delete": {"canary/controller/stable.go", `"controller revision")`},

	"cluster services list":                                     {"canary/traffic/service.go", "r.client.List(ctx, list, client.InNamespace(w.Namespace))"},
	"cluster services watch":                                    {"canary/controller/setup.go", "Watches(&corev1.Service{}"},
	"cluster services create":                                   {"canary/traffic/service.go", "r.client.Create(ctx, s, fieldManager)"},
	"cluster services update":                                   {"canary/traffic/service.go", "r.client.Update(ctx, changed, fieldManager)"},
	"cluster services delete":                                   {"canary/traffic/service.go", "r.client.Delete(ctx, s, "},
	"cluster discovery.k8s.io/endpointslices list":              {"canary/traffic/endpoints.go", "r.client.List(ctx, slices"},
	"cluster discovery.k8s.io/endpointslices watch":             {"canary/controller/setup.go", "Watches(&discoveryv1.EndpointSlice{}"},
	"cluster gateway.networking.k8s.io/referencegrants list":    {"canary/traffic/elsewhere.go", "l.list(ctx, referenceGrantKind"},
	"cluster gateway.networking.k8s.io/backendtlspolicies list": {"canary/traffic/bound.go", "l.list(ctx, kind, client.InNamespace("},
	"cluster networking.istio.io/destinationrules list":         {"canary/traffic/bound.go", "l.list(ctx, kind, client.InNamespace("},
	"cluster apisix.apache.org/apisixupstreams list":            {"canary/traffic/bound.go", "l.list(ctx, kind, client.InNamespace("},
	"cluster networking.k8s.io/ingressclasses list":             {"canary/traffic/ingress.go", "r.client.List(ctx, list)"},
	"cluster networking.k8s.io/ingresses create":                {"canary/traffic/steer.go", "r.client.Create(ctx, want, fieldManager)"},
	"cluster networking.k8s.io/ingresses update":                {"canary/traffic/steer.go", "r.client.Update(ctx, want, fieldManager)"},
	"cluster networking.k8s.io/ingresses delete":                {"canary/traffic/steer.go", "r.client.Delete(ctx, ingress"},
	"cluster gateway.networking.k8s.io/httproutes list":         {"canary/traffic/kind.go", "r.client.List(ctx, list, opts...)"},
	"cluster gateway.networking.k8s.io/httproutes watch":        {"canary/controller/watch.go", "c.Watch(source.Kind(w.cache, object"},
	"cluster gateway.networking.k8s.io/httproutes patch":        {"canary/traffic/steer.go", "r.client.Patch(ctx, written"},
	"cluster gateway.networking.k8s.io/grpcroutes list":         {"canary/traffic/kind.go", "r.client.List(ctx, list, opts...)"},
	"cluster gateway.networking.k8s.io/grpcroutes watch":        {"canary/controller/watch.go", "c.Watch(source.Kind(w.cache, object"},
	"cluster gateway.networking.k8s.io/grpcroutes patch":        {"canary/traffic/steer.go", "r.client.Patch(ctx, written"},
	"cluster networking.k8s.io/ingresses list":                  {"canary/traffic/kind.go", "r.client.List(ctx, list, opts...)"},
	"cluster networking.k8s.io/ingresses watch":                 {"canary/controller/watch.go", "c.Watch(source.Kind(w.cache, object"},
	"cluster networking.k8s.io/ingresses patch":                 {"canary/traffic/steer.go", "r.client.Patch(ctx, written"},
	"cluster networking.istio.io/virtualservices list":          {"canary/traffic/kind.go", "r.client.List(ctx, list, opts...)"},
	"cluster networking.istio.io/virtualservices watch":         {"canary/controller/watch.go", "c.Watch(source.Kind(w.cache, object"},
	"cluster networking.istio.io/virtualservices patch":         {"canary/traffic/steer.go", "r.client.Patch(ctx, written"},
	"cluster apisix.apache.org/apisixroutes list":               {"canary/traffic/kind.go", "r.client.List(ctx, list, opts...)"},
	"cluster apisix.apache.org/apisixroutes watch":              {"canary/controller/watch.go", "c.Watch(source.Kind(w.cache, object"},
	"cluster apisix.apache.org/apisixroutes patch":              {"canary/traffic/steer.go", "r.client.Patch(ctx, written"},

	// An event that is repeated becomes a series, by a patch.
	"cluster events.k8s.io/events create": {"canary/controller/setup.go", "mgr.GetEventRecorder("},
	"cluster events.k8s.io/events patch":  {"canary/controller/setup.go", "mgr.GetEventRecorder("},

	"cluster authorization.k8s.io/subjectaccessreviews create": {"webhook/permission.go", "p.creator.Create(ctx, review)"},

	"cluster admissionregistration.k8s.io/mutatingwebhookconfigurations sluice get":               {"certs/configurations.go", "a.client.Get(ctx, client.ObjectKey{Name: name}, object)"},
	"cluster admissionregistration.k8s.io/mutatingwebhookconfigurations sluice patch":             {"certs/patch.go", "a.client.Patch(ctx, target"},
	"cluster admissionregistration.k8s.io/validatingwebhookconfigurations sluice get":             {"certs/configurations.go", "a.client.Get(ctx, client.ObjectKey{Name: name}, object)"},
	"cluster admissionregistration.k8s.io/validatingwebhookconfigurations sluice patch":           {"certs/patch.go", "a.client.Patch(ctx, target"},
	"cluster admissionregistration.k8s.io/validatingwebhookconfigurations sluice-ownership get":   {"certs/configurations.go", "a.client.Get(ctx, client.ObjectKey{Name: name}, object)"},
	"cluster admissionregistration.k8s.io/validatingwebhookconfigurations sluice-ownership patch": {"certs/patch.go", "a.client.Patch(ctx, target"},

	"pin configmaps create": {"hashing/live/pin.go", "c.Create(ctx, want."},
	"pin configmaps patch":  {"hashing/live/pin.go", "c.Patch(ctx, found"},
	"pin configmaps delete": {"hashing/collector/collector.go", "c.client.Delete(ctx, object"},
	"pin secrets create":    {"hashing/live/pin.go", "c.Create(ctx, want."},
	"pin secrets patch":     {"hashing/live/pin.go", "c.Patch(ctx, found"},
	"pin secrets delete":    {"hashing/collector/collector.go", "c.client.Delete(ctx, object"},

	"pin admissionregistration.k8s.io/mutatingadmissionpolicies pin.sluice.dev get":       {"hashing/live/pin.go", "reader.Get(ctx, types.NamespacedName{Name: PinPolicy}, object)"},
	"pin admissionregistration.k8s.io/mutatingadmissionpolicybindings pin.sluice.dev get": {"hashing/live/pin.go", "reader.Get(ctx, types.NamespacedName{Name: PinPolicy}, object)"},

	"own secrets create":                  {"certs/own.go", "a.client.Create(ctx, secret"},
	"own secrets sluice-ca get":           {"certs/own.go", "a.client.Get(ctx, key, secret)"},
	"own secrets sluice-ca update":        {"certs/own.go", "a.client.Update(ctx, secret"},
	"own secrets sluice-hash-key get":     {"hashing/live/keyring.go", "k.options.Reader.Get(ctx, k.key(), secret)"},
	"own secrets sluice-hash-key update":  {"hashing/live/rotate.go", "k.options.Writer.Update(ctx, secret"},
	"own secrets sluice-serving-cert get": {"certs/serving.go", "a.client.Get(ctx, key, secret)"},

	// A lock of client-go gets, creates and updates its Lease.
	"own coordination.k8s.io/leases create":               {"cmd/sluice/server/leader.go", "resourcelock.LeasesResourceLock"},
	"own coordination.k8s.io/leases sluice-leader get":    {"cmd/sluice/server/leader.go", "resourcelock.LeasesResourceLock"},
	"own coordination.k8s.io/leases sluice-leader update": {"cmd/sluice/server/leader.go", "resourcelock.LeasesResourceLock"},
}

func TestEveryPermissionOfSluiceIsUsedByACall(t *testing.T) {
	granted := permissions("cluster", typed(t, &rbacv1.ClusterRole{}, "sluice").Rules)
	granted = append(granted, permissions("pin", pinTyped(t, &rbacv1.ClusterRole{}, "sluice-pin").Rules)...)
	granted = append(granted, permissions("own", typed(t, &rbacv1.Role{}, "sluice").Rules)...)
	named := make([]string, 0, len(calls))
	for permission := range calls {
		named = append(named, permission)
	}
	require.ElementsMatch(t, named, granted)
	for permission, needs := range calls {
		content, err := os.ReadFile(filepath.Join("..", needs.file))
		require.NoError(t, err)
		require.Contains(t, string(content), needs.code,
			"%s: %s does not call this any more: name another call that needs it, or drop it", permission, needs.file)
	}
}

// permissions returns one sentence per verb on a resource, as in
// "own coordination.k8s.io/leases sluice-leader get".
func permissions(role string, rules []rbacv1.PolicyRule) []string {
	var all []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				on := role + " " + strings.TrimPrefix(group+"/"+resource, "/")
				all = append(all, verbsOn(on, rule)...)
			}
		}
	}
	return all
}

func verbsOn(resource string, rule rbacv1.PolicyRule) []string {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var all []string
	for _, name := range names {
		for _, verb := range rule.Verbs {
			all = append(all, strings.Join(strings.Fields(resource+" "+name+" "+verb), " "))
		}
	}
	return all
}
