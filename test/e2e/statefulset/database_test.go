package statefulset

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// database is the StatefulSet "db" of one test.
type database struct {
	harness.Set
	t testing.TB
}

func create(t testing.TB, n *harness.Namespace, set *appsv1.StatefulSet) database {
	t.Helper()
	return database{n.CreateSet(set), t}
}

func (db database) release() *canary.Release {
	db.t.Helper()
	return db.Release()
}

func (db database) setImage(image string) harness.Result {
	db.t.Helper()
	return db.SetImage(image)
}
