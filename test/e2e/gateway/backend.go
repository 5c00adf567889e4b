package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// PodPort is where every pod listens.
const PodPort = 8080

// byAddress indexes pods by their addresses.
const byAddress = "address"

// backend answers as every pod.
type backend struct {
	client kubernetes.Interface
	known  cache.Indexer
}

// served is what a pod answers: who it is.
type served struct {
	Namespace, Pod, Image, Hash string
}

// startBackend listens where all pods do and returns once it knows those that there are.
func startBackend(ctx context.Context, client kubernetes.Interface) (*backend, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	err := informer.AddIndexers(cache.Indexers{byAddress: func(object any) ([]string, error) {
		return []string{object.(*corev1.Pod).Status.PodIP}, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("indexing pods: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("waiting for the list of pods: it never came")
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", PodPort))
	if err != nil {
		return nil, fmt.Errorf("listening for all pods: %w", err)
	}
	b := &backend{client: client, known: informer.GetIndexer()}
	server := &http.Server{Handler: b}
	go func() { _ = server.Serve(listener) }() // until the process ends
	return b, nil
}

// ServeHTTP answers as the pod that the connection leads to.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	pod := b.pod(r.Context(), local.IP.String())
	if pod == nil {
		reset(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(served{ // who asked may be gone
		Namespace: pod.Namespace, Pod: pod.Name, Image: pod.Spec.Containers[0].Image, Hash: pod.Labels["pod-template-hash"],
	})
}

// pod returns the pod that has an address and is ready, nil if there is none. Before it says that there is none it
// asks the API server: the watch may be behind.
func (b *backend) pod(ctx context.Context, address string) *corev1.Pod {
	known, err := b.known.ByIndex(byAddress, address)
	if err != nil {
		panic("this is a bug: " + err.Error())
	}
	for _, object := range known {
		if pod := object.(*corev1.Pod); serves(pod) {
			return pod
		}
	}
	list, err := b.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("status.podIP", address).String(),
	})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		if serves(&list.Items[i]) {
			return &list.Items[i]
		}
	}
	return nil
}

// serves tells whether a pod answers. A terminating one does, until it is gone.
func serves(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// reset ends the connection as the kernel does where nobody listens.
func reset(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
