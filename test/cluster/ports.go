package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
)

// Ports come from below the range that Linux takes for outgoing connections
// (32768 and up), or a killed component could find its port taken when it starts
// again.
const firstPort, lastPort = 20000, 32000

// freePorts returns a free loopback port for each name. All of them are held
// while they are chosen, so that they differ; another process may still take
// one before it is used, which portTaken recognises.
func freePorts(names ...string) (map[string]int, error) {
	ports := map[string]int{}
	for tries := 0; len(ports) < len(names); tries++ {
		if tries == 1000 {
			return nil, errors.New("finding free ports: 1000 tries failed")
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer listener.Close()
		ports[names[len(ports)]] = port
	}
	return ports, nil
}

// FreeAddress returns a loopback address, with a port that nobody listens on and no outgoing connection is given.
func FreeAddress() (string, error) {
	const name = "any"
	ports, err := freePorts(name)
	return fmt.Sprintf("127.0.0.1:%d", ports[name]), err
}

// portTaken tells whether a component ended because its port was not free.
func portTaken(err error) bool {
	return err != nil && strings.Contains(err.Error(), "address already in use")
}
