package manifests_test

import (
	"testing"

	celgo "github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/version"
)

// oldest is the Kubernetes in which the last API that is used here became
// stable, the ValidatingAdmissionPolicy.
var oldest = version.MajorMinor(1, 30)

// An expression that an API server cannot compile makes it refuse the whole
// configuration.
func TestTheOldestAPIServerCompilesEveryExpression(t *testing.T) {
	plain := compilerOf(t, oldest, nil)
	for _, e := range entries(t) {
		for _, condition := range e.MatchConditions {
			compile(t, plain, expression{text: condition.Expression, types: []*celgo.Type{celgo.BoolType}})
		}
	}
	for _, name := range []string{"sluice-status", "sluice-opt-out", "sluice-defaults"} {
		policy := typed(t, &admissionregistrationv1.ValidatingAdmissionPolicy{}, name).Spec
		for _, condition := range policy.MatchConditions {
			compile(t, plain, expression{text: condition.Expression, types: []*celgo.Type{celgo.BoolType}})
		}
		withVariables := compilerOf(t, oldest, policy.Variables)
		for _, validation := range policy.Validations {
			compile(t, withVariables,
				expression{text: validation.Expression, types: []*celgo.Type{celgo.BoolType}},
				expression{text: validation.MessageExpression, types: []*celgo.Type{celgo.StringType}})
		}
	}
}
