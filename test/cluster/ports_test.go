package cluster

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/cluster/tools"
)

func TestFreePortsDifferAndAreFree(t *testing.T) {
	ports, err := freePorts(components...)
	require.NoError(t, err)
	require.Len(t, ports, len(components))
	different := map[int]bool{}
	for _, port := range ports {
		different[port] = true
		require.GreaterOrEqual(t, port, firstPort)
		require.Less(t, port, lastPort)
	}
	require.Len(t, different, len(components))
}

func TestStartTriesAgainWhenAPortWasTakenMeanwhile(t *testing.T) {
	thief, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer thief.Close()
	cache, err := tools.Open()
	require.NoError(t, err)
	c, err := prepare(Options{}, cache)
	require.NoError(t, err)
	defer c.Stop()

	var given []map[string]int
	c.ports = func(names ...string) (map[string]int, error) {
		ports, err := freePorts(names...)
		// First etcd's port is taken, then the API server's, then none.
		if stolen := []string{etcd, apiserver}; len(given) < len(stolen) {
			ports[stolen[len(given)]] = thief.Addr().(*net.TCPAddr).Port
		}
		given = append(given, ports)
		return ports, err
	}
	require.NoError(t, c.boot(t.Context()))
	require.Len(t, given, 3)
	require.Equal(t, given[2], c.state.Ports)
}
