package ownership

import (
	"testing"

	"sluice.dev/sluice/test/seed"
)

func TestMain(m *testing.M) {
	seed.Fix()
	m.Run()
}
