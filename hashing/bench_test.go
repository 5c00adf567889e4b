package hashing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sizedTemplate is a template of about the size, with or without a reference to config, and otherwise of plain env.
func sizedTemplate(size int, withConfig bool) json.RawMessage {
	var env []string
	for i := 0; i*90 < size; i++ {
		env = append(env, fmt.Sprintf(`{"name":"SETTING_%06d","value":"some value of a setting, neither short nor long"}`, i))
	}
	volumes := ""
	if withConfig {
		volumes = `"volumes":[{"name":"v","configMap":{"name":"app"}}],`
	}
	return json.RawMessage(`{"spec":{` + volumes + `"containers":[{"name":"app","env":[` + strings.Join(env, ",") + `]}]}}`)
}

func BenchmarkReferences(b *testing.B) {
	for _, size := range []int{9 << 10, 177 << 10} {
		for _, withConfig := range []bool{true, false} {
			template := sizedTemplate(size, withConfig)
			b.Run(fmt.Sprintf("size=%dKB/config=%t", size>>10, withConfig), func(b *testing.B) {
				b.SetBytes(int64(len(template)))
				b.ReportAllocs()
				for b.Loop() {
					_, err := References(template)
					require.NoError(b, err)
				}
			})
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	refs := []Reference{allOf(ConfigMap, "app"), keysOf(Secret, "db", "password")}
	keys := keyringOf(b, 1)
	for _, size := range []int{4 << 10, 1 << 20} {
		objects := []Object{configMap("app", values{"file": strings.Repeat("x", size)}), secret("db", values{"password": "p"})}
		previous, err := keys.Digest("", "shop", refs, objects)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("size=%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				_, err := keys.Digest(previous, "shop", refs, objects)
				require.NoError(b, err)
			}
		})
	}
}
