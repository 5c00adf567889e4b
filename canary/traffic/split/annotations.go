package split

const (
	// MatchAnnotation is policy, on a workload or its Namespace: "header:NAME=VALUE" or "cookie:NAME=VALUE", as
	// ParseMatch reads it. People write it. Without it there is only the weight.
	MatchAnnotation = "sluice.dev/match"
	// RecordAnnotation is on a route, and on a canary Ingress, while it is split: what Restore needs, as JSON,
	// one entry for each Service. Only sluice writes it; one that cannot be read counts for nothing.
	RecordAnnotation = "sluice.dev/split"
)
