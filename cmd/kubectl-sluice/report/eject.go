package report

// EjectPlanKind is the kind of an EjectPlan.
const EjectPlanKind = "EjectPlan"

// EjectPlan is what eject does, or did.
type EjectPlan struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Items      []Ejection `json:"items"`
	// OptsOut is the Namespace that loses its label.
	OptsOut string `json:"optsOut,omitempty"`
	// Deletes are sluice's webhooks and policies.
	Deletes []string `json:"deletes,omitempty"`
}

// Ejection is what is done to one workload.
type Ejection struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	// Release and Phase are absent where it has none.
	Release int64  `json:"release,omitempty"`
	Phase   string `json:"phase,omitempty"`
	// Ending is promote, revert or leave-paused.
	Ending     string `json:"ending,omitempty"`
	Afterwards string `json:"afterwards,omitempty"`
	// Routes are given back, "httproute/web"; Services are sluice's own of both versions, which are deleted.
	Routes   []string `json:"routes,omitempty"`
	Services []string `json:"services,omitempty"`
}
