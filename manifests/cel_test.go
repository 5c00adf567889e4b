package manifests_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
)

// write is one request as the API server's CEL sees it.
type write struct {
	resource    string
	subresource string
	name        string // of the object, web where it is empty
	old, new    runtime.Object
	// manager is the field manager, and bypasses whether the user has the verb bypass on the object.
	manager  string
	bypasses bool
	user     string // somebody where it is empty
}

func (w write) attributes() *admission.VersionedAttributes {
	operation := admission.Update
	if w.old == nil {
		operation = admission.Create
	}
	kind := w.new.GetObjectKind().GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: "v1", Resource: w.resource}
	if w.subresource != "" {
		resource.Group = "apps" // a Scale's own is autoscaling
	}
	name := "web"
	if w.name != "" {
		name = w.name
	}
	versioned := &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(w.new, w.old, kind, "shop", name, resource, w.subresource,
			operation, &metav1.UpdateOptions{FieldManager: w.manager}, false, w),
		VersionedKind: kind,
	}
	versioned.VersionedObject.Set(w.new)
	if w.old != nil {
		versioned.VersionedOldObject.Set(w.old)
	}
	return versioned
}

// The methods of user.Info: the authorizer is asked about the write itself.
func (w write) GetName() string               { return cmp.Or(w.user, "somebody") }
func (w write) GetUID() string                { return "" }
func (w write) GetGroups() []string           { return nil }
func (w write) GetExtra() map[string][]string { return nil }

func (w write) group() string {
	return cmp.Or(w.new.GetObjectKind().GroupVersionKind().Group, "apps")
}

// Authorize permits the verb bypass on the object that is written, and nothing else.
func (w write) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	same := a.GetVerb() == "bypass" && a.GetAPIGroup() == w.group() && a.GetResource() == w.resource &&
		a.GetNamespace() == "shop" && a.GetName() == "web" && a.GetUser().GetName() == "somebody"
	if same && w.bypasses {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// expression is one CEL expression of a policy, named where it is a variable.
type expression struct {
	name, text string
	types      []*celgo.Type
}

func (e expression) GetName() string            { return e.name }
func (e expression) GetExpression() string      { return e.text }
func (e expression) ReturnTypes() []*celgo.Type { return e.types }

var declared = cel.OptionalVariableDeclarations{HasAuthorizer: true}

// compiler is the API server's own, with the variables of a policy.
func compiler(t *testing.T, variables []admissionregistrationv1.Variable) *cel.CompositedCompiler {
	t.Helper()
	return compilerOf(t, environment.DefaultCompatibilityVersion(), variables)
}

// compilerOf is the compiler as it was in a version of Kubernetes.
func compilerOf(t testing.TB, kubernetes *version.Version, variables []admissionregistrationv1.Variable) *cel.CompositedCompiler {
	t.Helper()
	composited, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(kubernetes))
	require.NoError(t, err)
	for _, v := range variables {
		variable := expression{name: v.Name, text: v.Expression, types: []*celgo.Type{celgo.AnyType, celgo.DynType}}
		result := composited.CompileAndStoreVariable(variable, declared, environment.NewExpressions)
		require.Nil(t, result.Error, v.Name)
	}
	return composited
}

// compile makes a program of the expressions.
func compile(t *testing.T, c *cel.CompositedCompiler, expressions ...cel.ExpressionAccessor) cel.ConditionEvaluator {
	t.Helper()
	program := c.CompileCondition(expressions, declared, environment.NewExpressions)
	require.Empty(t, program.CompilationErrors())
	return program
}

// evaluate returns the values of the program's expressions and what they cost.
// An expression that fails, or exceeds the budget that the API server gives the
// matchConditions of one webhook, fails the test: under failurePolicy Fail it
// would refuse the write.
func evaluate(t *testing.T, program cel.ConditionEvaluator, w write) ([]any, int64) {
	t.Helper()
	attributes := w.attributes()
	request := cel.CreateAdmissionRequest(attributes.Attributes,
		metav1.GroupVersionResource(attributes.GetResource()), metav1.GroupVersionKind(attributes.VersionedKind))
	const budget = celconfig.RuntimeCELCostBudgetMatchConditions
	results, left, err := program.ForInput(t.Context(), attributes, request, cel.OptionalVariableBindings{Authorizer: w}, nil, budget)
	require.NoError(t, err)
	var values []any
	for _, result := range results {
		require.NoError(t, result.Error, result.ExpressionAccessor.GetExpression())
		values = append(values, result.EvalResult.Value())
	}
	return values, budget - left
}

// called says whether the conditions let the write through to the webhook, and
// what they cost.
func called(t *testing.T, conditions []admissionregistrationv1.MatchCondition, w write) (bool, int64) {
	t.Helper()
	var expressions []cel.ExpressionAccessor
	for _, c := range conditions {
		expressions = append(expressions, expression{name: c.Name, text: c.Expression, types: []*celgo.Type{celgo.BoolType}})
	}
	values, cost := evaluate(t, compile(t, compiler(t, nil), expressions...), w)
	return !slices.Contains(values, any(false)), cost
}
