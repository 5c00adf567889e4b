// Package logging makes sluice's one log: structured, on standard error, JSON
// unless asked otherwise. Everything that logs in the process goes there, the
// Kubernetes libraries included; what these call worth knowing is sluice's debug,
// so that info is what sluice changed in the cluster or refused.
package logging
