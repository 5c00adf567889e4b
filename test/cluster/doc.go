// Package cluster runs a real Kubernetes control plane for tests, as ordinary
// processes on loopback ports: no containers, no root, no network.
//
//	c, err := cluster.Start(ctx, cluster.Options{Log: os.Stderr})
//	...
//	defer c.Stop()
//	exec.Command(c.Tool("kubectl"), "--kubeconfig", c.Kubeconfig("alice"), "get", "pods")
//
// The API server, its admission chain, the controllers and the scheduler are
// the real ones. Only the kubelets are not: kwok plays the pods' lives.
//
// # What is guaranteed
//
//   - When Start returns, a pod that is created is scheduled and becomes ready,
//     and all users have their rights.
//   - Any number of clusters may run at once, also of several processes.
//   - Nothing is left when the process ends, however it ends: not after a panic,
//     a failed test, Ctrl-C or SIGKILL. The kernel ends the components with their
//     parent, and a waiting shell then removes the temporary folder. Only with
//     Options.Detached do they stay, until Open and Stop.
//   - Every component can be killed, paused and restarted, and keeps its port and
//     its data. Open connections break; the other components connect again.
//
// # Users
//
// Each has a kubeconfig and a token.
//
//	name    groups                                what it may do
//	admin   system:masters                        anything
//	alice   developers                            the built-in role edit, everywhere, and so what aggregates to it
//	bob     deployers                             read and write deployments, statefulsets (both with scale),
//	                                              daemonsets, configmaps, secrets, services, events;
//	                                              read replicasets and pods; nothing that aggregates
//	carol   viewers                               the built-in role view, everywhere
//	sluice  those of the ServiceAccount sluice    what its manifests give it; its username is
//	        in sluice-system                      system:serviceaccount:sluice-system:sluice
//
// The components are users as well: kube-controller-manager (its controllers
// write as system:serviceaccount:kube-system:<controller>), kube-scheduler and
// kwok. ServiceAccount tokens work ("kubectl create token"), but none is mounted
// into pods: the admission plugin ServiceAccount is off.
//
// # Images
//
// The names of a pod's images decide what becomes of the pod, and so does the
// first row that applies to any of its containers. A name counts with its tag,
// so "example/web:v2-crash" crashes.
//
//	image contains          the pod
//	pull                    stays Pending, ImagePullBackOff
//	crash                   Running, never Ready, CrashLoopBackOff, restartCount 3
//	unready                 Running, never Ready
//	late, as a whole word   Running at once, Ready 5 s after its start;
//	                        late-30s: after 30 s. It may be one second more, not less
//	anything else           Running and Ready after 0.3 s; completes if a Job owns it
//
// No stage touches a pod's conditions twice: a test that patches pods/status to
// make a pod unready, or ready, is not contradicted. A deleted pod is gone at once,
// or after Options.Grace, whatever its own grace period. Pods have addresses in 10.244.0.0/16 and nothing
// listens there. There are three nodes for 2000 pods each, which are always
// healthy. kwok may be restarted three times before it hands out the address of
// a living pod again.
//
// # Programs
//
// They are built from their Go modules on first use, which takes up to twenty
// minutes on two cores: longer than the time limit of "go test". So build them
// before:
//
//	go run -C test/cluster ./cmd/cluster tools
//
// The result is kept in $SLUICE_CACHE, by default .cache/cluster in the
// repository, and built again only when a version, a flag or Go changes. To change
// a version, change the module in the folder tools/programs.
//
//	k8s.io/kubernetes              v1.37.0  kube-apiserver, kube-controller-manager, kube-scheduler, kubectl
//	go.etcd.io/etcd/server/v3      v3.7.3   etcd
//	sigs.k8s.io/kwok               v0.8.0   kwok
//	helm.sh/helm/v3                v3.22.0  helm3
//	helm.sh/helm/v4                v4.3.1   helm4
//	github.com/traefik/traefik/v3  v3.7.5   traefik
//
// The last one is no part of a cluster: it is built for who names it in Options.Tools,
// and by the command.
//
// The command cmd/cluster runs a cluster by hand. All of this needs Linux.
package cluster
