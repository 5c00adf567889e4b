package split

const (
	// RecordAnnotation is on a route, and on a canary Ingress, while it is split: what Restore needs, as JSON,
	// one entry for each Service. Only sluice writes it; one that cannot be read counts for nothing.
	RecordAnnotation = "sluice.dev/split"
	// ActiveLabel is "true" on a route while it is split. Admission sets and removes it, and is called by it.
	ActiveLabel = "sluice.dev/release-active"
	// WorkloadLabel is on a canary Ingress: it names the workload whose release made it.
	WorkloadLabel = "sluice.dev/workload"
)
