package controller

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"

	"sluice.dev/sluice/hashing"
)

// metadataServer answers lists and watches of one resource.
type metadataServer struct {
	metadata.Interface
	metadata.ResourceInterface
	t testing.TB

	mutex   sync.Mutex
	down    error
	version string
	events  *watch.RaceFreeFakeWatcher // of the watch that is open
	since   []string                   // resourceVersions that watches began at
	limits  []int64
}

func (m *metadataServer) Resource(schema.GroupVersionResource) metadata.Getter { return m }

func (m *metadataServer) Namespace(string) metadata.ResourceInterface { return m }

func (m *metadataServer) List(_ context.Context, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.limits = append(m.limits, opts.Limit)
	return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: m.version}}, m.down
}

func (m *metadataServer) Watch(_ context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	m.since, m.events = append(m.since, opts.ResourceVersion), watch.NewRaceFreeFake()
	return m.events, nil
}

func (m *metadataServer) set(down error, version string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.down, m.version = down, version
}

func (m *metadataServer) open() *watch.RaceFreeFakeWatcher {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.events
}

// asked returns the limits of the lists so far, and the versions that watches began at.
func (m *metadataServer) asked() (limits []int64, since []string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.limits), slices.Clone(m.since)
}

func metadataOf(name, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}}
}

func expired() *metav1.Status {
	return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "too old"}
}

// heard is what a watch told, in order; "gap" where it may have missed something.
type heard struct {
	mutex sync.Mutex
	all   []string
}

func (h *heard) add(what string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.all = append(h.all, what)
}

func (h *heard) take() []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	all := h.all
	h.all = nil
	return all
}

// watching runs a watch until the test is over.
func watching(t *testing.T, do func(server *metadataServer, heard *heard)) {
	synctest.Test(t, func(t *testing.T) {
		server, told := &metadataServer{t: t, version: "10"}, &heard{}
		w := configWatch{
			client: server, now: time.Now,
			changed: func(_ context.Context, kind hashing.Kind, name types.NamespacedName) {
				told.add(hashing.ObjectName(kind, name.String()))
			},
			gap: func(context.Context) { told.add("gap") },
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { w.run(ctx, hashing.ConfigMap); close(over) }()
		synctest.Wait()
		do(server, told)
		cancel()
		<-over
	})
}

func TestAWatchTellsNames(t *testing.T) {
	watching(t, func(server *metadataServer, heard *heard) {
		require.Equal(t, []string{"gap"}, heard.take(), "at the start everything is looked at")
		limits, since := server.asked()
		require.Equal(t, []int64{1}, limits, "no list of all objects is ever asked for")
		require.Equal(t, []string{"10"}, since)
		server.open().Add(metadataOf("app", "11"))
		server.open().Modify(metadataOf("app", "12"))
		server.open().Delete(metadataOf("web", "13"))
		synctest.Wait()
		require.Equal(t, []string{"configmap/shop/app", "configmap/shop/app", "configmap/shop/web"}, heard.take())
	})
}

func TestAWatchGoesOnWhereItWasClosed(t *testing.T) {
	watching(t, func(server *metadataServer, heard *heard) {
		server.open().Modify(metadataOf("app", "11"))
		server.open().Stop()
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"gap", "configmap/shop/app"}, heard.take())
		_, since := server.asked()
		require.Equal(t, []string{"10", "11"}, since, "nothing between is missed, and so there is no gap")
		server.open().Modify(metadataOf("web", "12"))
		synctest.Wait()
		require.Equal(t, []string{"configmap/shop/web"}, heard.take())
	})
}

func TestAfterAGapEverythingIsLookedAt(t *testing.T) {
	failures := map[string]struct {
		fail func(server *metadataServer)
	}{
		"the version is too old": {func(server *metadataServer) {
			server.set(nil, "50")
			server.open().Error(expired())
		}},
		"the version is too old once the watch is opened again": {func(server *metadataServer) {
			server.set(apierrors.NewResourceExpired("too old"), "50")
			server.open().Stop()
			time.Sleep(5 * time.Second)
			server.set(nil, "50")
		}},
		"an event that is none": {func(server *metadataServer) {
			server.set(nil, "50")
			server.open().Modify(&metav1.Status{})
		}},
		"the API server is gone for an hour, and has another history then": {func(server *metadataServer) {
			server.set(errors.New("connection refused"), "50")
			server.open().Error(expired())
			time.Sleep(time.Hour)
			server.set(nil, "50")
		}},
		"sluice may not list for a while": {func(server *metadataServer) {
			server.set(apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no RBAC")), "50")
			server.open().Error(expired())
			time.Sleep(10 * time.Minute)
			server.set(nil, "50")
		}},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			watching(t, func(server *metadataServer, heard *heard) {
				require.Equal(t, []string{"gap"}, heard.take())
				failure.fail(server)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"gap"}, heard.take())
				_, since := server.asked()
				require.Equal(t, "50", since[len(since)-1])
				server.open().Modify(metadataOf("app", "51"))
				synctest.Wait()
				require.Equal(t, []string{"configmap/shop/app"}, heard.take())
			})
		})
	}
}

// An API server that is away is asked at growing distances: at most every 30 s after a while.
func TestAnAPIServerThatIsAwayIsNotStormed(t *testing.T) {
	watching(t, func(server *metadataServer, heard *heard) {
		server.set(errors.New("connection refused"), "50")
		server.open().Error(expired())
		time.Sleep(time.Hour)
		require.Equal(t, []string{"gap"}, heard.take())
		limits, _ := server.asked()
		require.Less(t, len(limits), 150)
		require.Greater(t, len(limits), 90)
	})
}

func TestAWatchThatEndsAtOnceEachTimeIsNotALoop(t *testing.T) {
	watching(t, func(server *metadataServer, heard *heard) {
		for range 3600 {
			if open := server.open(); !open.IsStopped() {
				open.Error(expired())
			}
			time.Sleep(time.Second)
		}
		require.Less(t, len(heard.take()), 150)
	})
}
