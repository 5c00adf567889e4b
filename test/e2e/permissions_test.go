package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/manifests"
)

// unusedHere are permissions that no test of this package makes sluice use, each with the reason.
var unusedHere = map[string]string{
	"delete pods":                                "StatefulSets are released in test/e2e/statefulset",
	"patch apps/statefulsets":                    "StatefulSets are released in test/e2e/statefulset",
	"patch apps/statefulsets/status":             "StatefulSets are released in test/e2e/statefulset",
	"create coordination.k8s.io/leases":          "sluice dev stands for no election: test/e2e/serve does",
	"update coordination.k8s.io/leases":          "sluice dev stands for no election: test/e2e/serve does",
	"update secrets":                             "the certificate authority is renewed after months: tests of certs; the hash key is rotated in test/e2e/config/keys",
	"patch apps/daemonsets":                      "DaemonSets get their config in test/e2e/config",
	"patch apps/daemonsets/status":               "a change of a DaemonSet's config is kept back in test/e2e/config",
	"create services":                            "requests are divided in test/e2e/traffic",
	"update services":                            "requests are divided in test/e2e/traffic",
	"delete services":                            "requests are divided in test/e2e/traffic",
	"patch gateway.networking.k8s.io/httproutes": "requests are divided in test/e2e/traffic",
	"patch networking.k8s.io/ingresses":          "requests are divided in test/e2e/traffic",
	"create networking.k8s.io/ingresses":         "requests are divided in test/e2e/traffic",
	"update networking.k8s.io/ingresses":         "requests are divided in test/e2e/traffic",
	"delete networking.k8s.io/ingresses":         "requests are divided in test/e2e/traffic",
	"patch gateway.networking.k8s.io/grpcroutes": "requests are divided in test/e2e/routes",
	"patch networking.istio.io/virtualservices":  "requests are divided in test/e2e/routes",
	"patch apisix.apache.org/apisixroutes":       "requests are divided in test/e2e/routes",
	"patch events.k8s.io/events":                 "an Event becomes a series when it repeats within six minutes, and sluice says each thing once",
}

// thenPermissions runs the tests and, after all of them, compares what sluice wrote by the audit log
// with manifests/rbac.yaml. The log has no reads; what sluice lacks shows in the tests themselves.
func thenPermissions(run func() int) int {
	code := run()
	if code != 0 || flag.Lookup("test.run").Value.String()+flag.Lookup("test.skip").Value.String() != "" {
		return code
	}
	if err := comparePermissions(); err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: permissions:", err)
		return 1
	}
	return 0
}

// comparePermissions returns an error for each permission that was not used and is not named above.
func comparePermissions() error {
	writes, err := env.Cluster.Writes()
	objects, faults := manifests.Objects()
	used := map[string]bool{}
	for _, w := range writes {
		if w.User == "system:serviceaccount:sluice-system:sluice" {
			used[w.Verb+" "+path.Join(w.Group, w.Resource, w.Subresource)] = true
		}
	}
	for _, o := range objects {
		var role rbacv1.ClusterRole // a Role has its rules in the same place
		if o.GetName() == manifests.Name && strings.HasSuffix(o.GetKind(), "Role") {
			err = errors.Join(err, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role))
		}
		for _, permission := range toWrite(role.Rules) {
			if !used[permission] && unusedHere[permission] == "" {
				faults = errors.Join(faults, fmt.Errorf("rbac.yaml lets sluice %s, and no test made it do so", permission))
			}
		}
	}
	return errors.Join(err, faults)
}

// toWrite returns what rules permit beside reading, names aside.
func toWrite(rules []rbacv1.PolicyRule) (permissions []string) {
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if !slices.Contains([]string{"get", "list", "watch"}, verb) {
					permissions = append(permissions, verb+" "+path.Join(rule.APIGroups[0], resource))
				}
			}
		}
	}
	return permissions
}
