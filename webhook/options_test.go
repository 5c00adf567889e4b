package webhook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryFaultOfTheOptionsIsSaidAtOnce(t *testing.T) {
	require.NoError(t, DefaultOptions().Validate())
	_, err := New(Options{Host: "a b", Port: 70000, ShutdownDelay: -time.Second}, Deps{})
	require.EqualError(t, err, `webhook: host "a b" is neither an IP address nor a host name
webhook: port 70000 is not between 0 and 65535
webhook: the username of sluice's own ServiceAccount is missing
webhook: shutdown delay -1s is negative
webhook: 0 requests at once are not positive
webhook: 0 bytes at once are less than one review may have (7340032)
webhook: Reader is not set
webhook: Creator is not set
webhook: Pinning is not set
webhook: Keyring is not set
webhook: Certificates is not set
webhook: Metrics is not set
webhook: Now is not set`)
}
