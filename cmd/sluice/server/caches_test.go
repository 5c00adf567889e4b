package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// appsAPI is an api that also has workloads, none of them, and may refuse to list one resource.
type appsAPI struct {
	api
	refuses atomic.Value // the resource, "" for none
}

func (a *appsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const groupVersion = "apps/v1"
	version := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: "v1"}
	resource := path.Base(r.URL.Path)
	switch {
	case r.URL.Path == "/apis/apps":
		writeJSON(w, http.StatusOK, metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: "apps",
			Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
	case r.URL.Path == "/apis/apps/v1":
		writeJSON(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: groupVersion,
			APIResources: []metav1.APIResource{
				{Name: "deployments", Kind: "Deployment", Namespaced: true}, {Name: "replicasets", Kind: "ReplicaSet", Namespaced: true},
				{Name: "statefulsets", Kind: "StatefulSet", Namespaced: true}, {Name: "daemonsets", Kind: "DaemonSet", Namespaced: true},
			}})
	case r.URL.Path == "/apis/discovery.k8s.io":
		discovery := metav1.GroupVersionForDiscovery{GroupVersion: "discovery.k8s.io/v1", Version: "v1"}
		writeJSON(w, http.StatusOK, metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: "discovery.k8s.io",
			Versions: []metav1.GroupVersionForDiscovery{discovery}, PreferredVersion: discovery})
	case r.URL.Path == "/apis/discovery.k8s.io/v1":
		writeJSON(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "discovery.k8s.io/v1",
			APIResources: []metav1.APIResource{{Name: "endpointslices", Kind: "EndpointSlice", Namespaced: true}}})
	case r.URL.Path == "/api/v1":
		writeJSON(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1",
			APIResources: []metav1.APIResource{{Name: "namespaces", Kind: "Namespace"}, {Name: "secrets", Kind: "Secret", Namespaced: true}, {Name: "services", Kind: "Service", Namespaced: true}}})
	case !slices.Contains([]string{"/apis/apps/v1", "/apis/discovery.k8s.io/v1", "/api/v1"}, path.Dir(r.URL.Path)):
		a.api.ServeHTTP(w, r)
	case resource == a.refuses.Load():
		writeStatus(w, apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: resource}, "", errors.New("ask an admin")))
	case r.URL.Query().Get("watch") != "":
		nothingEver(w, r)
	case !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList"): // of whole objects
		writeJSON(w, http.StatusOK, map[string]any{"kind": wholeKinds[resource] + "List", "apiVersion": groupVersion, "metadata": metav1.ListMeta{ResourceVersion: "1"}})
	default:
		writeJSON(w, http.StatusOK, metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}})
	}
}

// wholeKinds are the kinds that are not only watched as metadata.
var wholeKinds = map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}

// nothingEver is a watch without objects; a bookmark ends the list that a client may begin it with.
func nothingEver(w http.ResponseWriter, r *http.Request) {
	end := metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}}
	if !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
		end.TypeMeta = metav1.TypeMeta{Kind: wholeKinds[path.Base(r.URL.Path)], APIVersion: "apps/v1"}
	}
	end.ResourceVersion, end.Annotations = "1", map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "BOOKMARK", "object": end})
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func TestReadinessWaitsForTheCaches(t *testing.T) {
	workloads := &appsAPI{}
	workloads.refuses.Store("replicasets")
	server := httptest.NewServer(workloads)
	t.Cleanup(server.CloseClientConnections)
	opts := testOptions(t)
	opts.Controllers.LeaderElect = false
	config := &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	var running *Server
	readyz := func() (int, string) { return get(t, probed(running)+"/readyz") }
	running, err := New(Cluster{Name: "shop", Config: config}, opts, Hooks{
		Serving: func(context.Context) error {
			if code, body := readyz(); code != http.StatusOK {
				return fmt.Errorf("the webhook serves before the controllers run: %d %s", code, body)
			}
			return nil
		},
	})
	require.NoError(t, err)
	running.caches.listTime = 0
	done := make(chan error, 1)
	task := background(t.Context(), func(ctx context.Context) { done <- running.Run(ctx) })
	t.Cleanup(task.stop)

	require.Eventually(t, func() bool {
		code, body := readyz()
		return code == http.StatusServiceUnavailable &&
			strings.Contains(body, " and has not listed every ReplicaSet yet: ") &&
			strings.Contains(body, "replicasets.apps is forbidden: ask an admin")
	}, patience, 10*time.Millisecond, "not ready, and why")

	workloads.refuses.Store("")

	require.Eventually(t, func() bool { code, _ := readyz(); return code == http.StatusOK }, patience, 10*time.Millisecond)
	task.stop()
	require.NoError(t, <-done)
}

func TestCachesAreAwaitedInATermThatGoesOnWithoutThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := caches{listTime: listTime}
		require.NoError(t, c.synced(t.Context()), "it never led")

		require.NoError(t, c.begin())
		require.NoError(t, c.synced(t.Context()), "it has just begun to lead")
		time.Sleep(listTime)
		require.EqualError(t, c.synced(t.Context()), "this replica has led for 30s and has not listed every Deployment, EndpointSlice, ReplicaSet, Service, StatefulSet yet")

		c.end()
		require.NoError(t, c.synced(t.Context()), "it led")

		require.NoError(t, c.begin())
		require.NoError(t, c.synced(t.Context()), "it has just begun to lead again")
	})
}
