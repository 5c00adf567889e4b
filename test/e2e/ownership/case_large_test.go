package ownership

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// 43: beyond 1.5 MiB etcd takes no object. The API server leaves managedFields out then and tries once more.
func TestAVeryLargeObject(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	// So many names of its own are in managedFields once more: with them the object does not fit, without it does.
	many := func(o manifest) {
		free := manifest{}
		for i := range 9000 {
			free[fmt.Sprintf("key-%s-%05d", strings.Repeat("x", 50), i)] = "1"
		}
		free["filler"] = strings.Repeat("x", 700<<10)
		set(free, "spec", "free")(o)
	}
	past := []step{appliedBy("A", both(three.write.edit, set("1", text...)))}
	grows := object{things, n.Name, "grows"}
	grows.history(t, past...)
	a := grows.send(t, put, write{edit: both(five, many)})
	require.Equal(t, aReplicas, conflicts(a.status(t)), "it takes A's replicas on its way")

	a = grows.send(t, put, write{edit: many})

	require.NoError(t, a.err)
	require.Empty(t, a.warnings)
	require.Empty(t, a.stored.GetManagedFields(), "nobody owns anything any more")
	a = grows.send(t, merge, write{edit: five})
	require.NoError(t, a.err, "as of any object without owners")
}
