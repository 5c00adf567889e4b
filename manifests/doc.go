// Package manifests is what an operator applies: the YAML files of this folder
// are the only description of sluice's objects in a cluster, and everything
// that needs one of them, a test included, takes it from here.
//
// install.yaml is the same files in one, for kubectl apply -f; a test fails
// when it is stale, and go generate writes it anew.
//
// The order is the order of applying: what is referred to comes before what
// refers to it, and the webhooks come last, so that the API server asks sluice
// only once there is a sluice to ask.
//
// pin.yaml is not among them: it is for those who pin config. Its policy needs
// Kubernetes 1.36, and its ClusterRole is the only one that lets sluice write
// ConfigMaps and Secrets outside of its own namespace.
//
// Nor is ownership.yaml: it has further resources, beside workloads, whose fields are to conflict, and who may
// force that. Its webhook configuration is one of its own, so that installing sluice anew leaves it alone.
//
// # Which write reaches which webhook
//
// For Deployments, StatefulSets and DaemonSets, never for their status, for what holds their config, and for
// routes that send them requests:
//
//	the write                                               webhook               sluice down
//	in a namespace that has not opted in                    none
//	to an object labelled sluice.dev/enabled=false          none
//	to an object that is being deleted                      none
//	CREATE                                                  workloads.sluice.dev  refused
//	template, strategy or paused differs                    workloads.sluice.dev  refused
//	a label or annotation under sluice.dev/ differs         workloads.sluice.dev  refused
//	anything else, no release                               none
//	the end of a release by `kubectl sluice eject`          none
//	anything else, while a release exists, in any namespace releases.sluice.dev   refused
//	any update of an object with owners, namespace opted in owners.sluice.dev     passes
//	a route of a release, in any namespace                  routes.sluice.dev     passes, and is not split
//	/scale to zero, or by others than Kubernetes' own       scale.sluice.dev      passes
//	the content of a ConfigMap or Secret, likewise          config.sluice.dev     passes, without a warning
//
// Ownership is looked at beside the rest: a write may reach two webhooks. Writes of Kubernetes' own
// controllers and of kubelets, told by their user, never wait for it.
//
// What eject ends passes by its field manager, for whoever has the verb bypass on
// the object, and only where label and state of the release are gone afterwards;
// of a route, label and record.
// The API server asks its authorizer last, and so for such a write alone.
//
// The conditions are CEL and run in the API server, where comparing two
// templates is cheap, also at the largest size that is stored: CEL charges a
// comparison of maps by their own keys, not by what is below. Walking all
// annotations is not: it takes seconds when there are tens of thousands, which
// whoever edits a workload may put there. So the conditions name sluice's keys,
// and a test compares the list with the code.
package manifests

//go:generate go test -run TestInstall -update .
