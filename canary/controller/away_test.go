package controller

import (
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// numbered is what follows from the number of a release, which differs where sluice wrote more.
var numbered = regexp.MustCompile(`\\"id\\":\d+|"sluice.dev/(release|approve|abort|retry)": "\d+|web-[a-z0-9]{8,10}"|hash": "[a-z0-9]{8,10}"`)

func unnumbered(dump string) string { return numbered.ReplaceAllString(dump, "$1") }

var errAway = errors.New("dial tcp 10.0.0.1:443: connect: connection refused")

// TestAnAPIServerThatIsAwayForTenMinutes: from each call of sluice's on, and the last thing it did was done
// or not. Nobody is blamed for that time: the end is the same.
func TestAnAPIServerThatIsAwayForTenMinutes(t *testing.T) {
	for name, s := range telling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, want := undisturbed(s.start(t), s.play)
			for _, this := range calls {
				if !this.write {
					continue
				}
				for _, applied := range []bool{false, true} {
					c := s.start(t)
					var back time.Time
					c.fault = func(now call) error {
						switch {
						case back.IsZero() && now.number == this.number && now.applied == applied:
							back = c.now.Add(10 * time.Minute)
							return errAway
						case !back.IsZero() && c.now.Before(back) && !now.applied:
							c.now = c.now.Add(lastRetry)
							c.crashed = true // it lost its Lease
							return errAway
						}
						return nil
					}
					s.play(c)
					requireSame(t, unnumbered(want), unnumbered(c.dump()), "away from call %d on: %s %s, applied %t", this.number, this.verb, this.what, applied)
					c.fault = nil
					requireQuiet(t, c)
				}
			}
		})
	}
}

// TestADeletedAndRecreatedWorkloadIsAnother: right before each write of sluice's, its workload is deleted and
// made anew under the same name. Sluice missed both. What it still writes touches the new one no more than
// its release does, which it has none of.
func TestADeletedAndRecreatedWorkloadIsAnother(t *testing.T) {
	for kind, object := range map[string]func(string) *unstructured.Unstructured{canary.Deployment: deploymentObject, canary.StatefulSet: setObject} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			start := running
			if kind == canary.StatefulSet {
				start = func(t *testing.T) *cluster { return runningSet(t) }
			}
			play := func(c *cluster) {
				c.upgrade("web:2")
				if c.release() != nil {
					c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
				}
			}
			calls, _ := undisturbed(start(t), play)
			for _, this := range calls {
				if !this.write {
					continue
				}
				c := start(t)
				c.fault = func(now call) error {
					if now.number == this.number && !now.applied {
						c.fault = nil
						require.NoError(t, c.store.Delete(t.Context(), c.workload()))
						require.NoError(t, c.store.Create(t.Context(), object("web:1")))
					}
					return nil
				}
				play(c)
				require.Nil(t, c.fault)
				require.Nil(t, c.release())
				want := start(t)
				requireSame(t, plain(want), plain(c), "recreated before call %d: %s %s", this.number, this.verb, this.what)
				requireQuiet(t, c)
				c.upgrade("web:3")
				require.Equal(t, canary.Waiting, c.release().Phase)
			}
		})
	}
}

// plain is what is there: the workload's spec without the steps that a test states, and pods by image.
func plain(c *cluster) string {
	spec, _, _ := unstructured.NestedMap(c.workload().Object, "spec")
	var pods []string
	for _, rs := range c.replicaSets() {
		n, _, _ := unstructured.NestedInt64(rs.Object, "spec", "replicas")
		pods = append(pods, imageOf(rs.Object), string(mustJSON(n)))
	}
	slices.Sort(pods)
	return string(mustJSON(spec)) + "\n" + string(mustJSON(append(pods, c.setImages()...)))
}

// TestARecreatedObjectIsNotDeleted: a canary's ReplicaSet or a pod goes and comes back under the same name
// between the look and the delete.
func TestARecreatedObjectIsNotDeleted(t *testing.T) {
	for name, play := range map[string]func(*cluster){
		canary.Deployment:  func(c *cluster) { c.upgrade("web:2"); c.upgrade("web:1") },
		canary.StatefulSet: func(c *cluster) { c.upgrade("web:2"); c.drive(canary.AbortAnnotation, (*canary.Release).Name) },
	} {
		t.Run(name, func(t *testing.T) {
			c := running(t)
			if name == canary.StatefulSet {
				c = runningSet(t)
			}
			var uid string
			c.fault = func(now call) error {
				if now.verb != "delete" || uid != "" {
					return nil
				}
				for _, object := range c.raw.past {
					if object.GetName() == now.what {
						uid = string(object.GetUID())
						anew := object.DeepCopyObject().(client.Object)
						anew.SetUID("another")
						c.raw.store(anew)
					}
				}
				c.fault = func(next call) error {
					require.False(t, next.verb == "delete" && next.applied, "an object that sluice never saw was deleted")
					c.fault = nil
					return nil
				}
				return nil
			}
			play(c)
			require.NotEmpty(t, uid)
		})
	}
}
