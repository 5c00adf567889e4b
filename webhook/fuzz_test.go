package webhook

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMutate reviews random workloads, by random people and in random states, and checks what must
// hold of every answer: the patch applies, the result decodes strictly, a second review gets no patch,
// and /validate agrees.
func FuzzMutate(f *testing.F) {
	for seed := range int64(400) {
		f.Add(seed)
	}
	s := cluster{objects: shopWithConfig("info")}.server(f)
	f.Fuzz(func(t *testing.T, seed int64) {
		review := newRandom(seed).review(t)
		response := admit(t, s, MutatePath, review)
		if !response.Allowed {
			require.NotEmpty(t, response.Result.Message)
			require.EqualValues(t, http.StatusForbidden, response.Result.Code)
			require.Empty(t, response.Patch)
			return
		}
		requireApplied(t, s, review, response)
	})
}

// FuzzBody feeds any bytes to all paths: an answer or one clear refusal, and no panic.
func FuzzBody(f *testing.F) {
	for _, name := range []string{"update-of-the-image-with-config", "create-with-missing-config", "sluice-pins-the-surge", "third-version"} {
		body, err := json.Marshal(contractReview(f, name))
		require.NoError(f, err)
		f.Add(body)
	}
	body, err := json.Marshal(scaleReview("deployments", 3, 0))
	require.NoError(f, err)
	f.Add(body)
	body, err = json.Marshal(levelReview(f))
	require.NoError(f, err)
	f.Add(body)
	s := cluster{objects: shopWithConfig("info")}.server(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{MutatePath, ValidatePath, ValidateScalePath, WarnConfigPath, MutateRoutesPath} {
			w := post(s, path, body)
			require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code, w.Body.String())
			if w.Code != http.StatusOK {
				require.NotEmpty(t, status(t, w).Message)
			}
		}
	})
}
