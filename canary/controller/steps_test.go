package controller

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

// TestStepsOfAPromotion is one release from the hold to the end: each write, each Event.
func TestStepsOfAPromotion(t *testing.T) {
	c := running(t)
	c.upgrade("web:2")
	name := c.canaryName()
	c.approve()

	recordNames := regexp.MustCompile(`web-[0-9a-f]{16}$`)
	var writes []string
	for _, write := range c.writes {
		switch {
		case recordNames.MatchString(write):
			write = recordNames.ReplaceAllString(write, "RECORD")
		default:
			write = regexp.MustCompile(regexp.QuoteMeta(name)).ReplaceAllString(write, "CANARY")
		}
		writes = append(writes, write)
	}
	require.Equal(t, []string{
		"patch web",     // seen: since
		"create RECORD", // the stable template
		"create CANARY",
		"patch status web", // Reconciling
		"patch web",        // Waiting
		"update CANARY",    // its marks
		"patch status web", // no condition: a person is awaited
		"patch web",        // Promoting: maxSurge is pinned
		"patch status web", // Reconciling
		"update CANARY",    // adopted
		"patch web",        // proved: unpaused
		"update CANARY",    // unmarked
		"delete RECORD",
		"patch status web", // no condition
		"patch web",        // ended
	}, writes)
	require.Regexp(t, `(?s)^Normal ReleaseHeld .*
Normal ReleaseWaiting .*
Normal ReleaseApproved .*
Normal ReleasePromoting .*
Normal ReleasePromoted [^\n]*$`, c.events())
}

// TestStatePatch: a patch of a Deployment is its state under a resourceVersion and nothing else, so that
// sluice owns no field that a chart may own.
func TestStatePatch(t *testing.T) {
	c := running(t)
	c.upgrade("web:2")
	c.approve()
	require.Len(t, c.patches, 5)
	for i, patch := range c.patches {
		var got map[string]map[string]any
		require.NoError(t, json.Unmarshal([]byte(patch), &got))
		state := got["metadata"]["annotations"].(map[string]any)[canary.ReleaseAnnotation]
		want, _ := json.Marshal(state)
		require.JSONEq(t, `{"metadata": {"resourceVersion": "`+got["metadata"]["resourceVersion"].(string)+`",
			"annotations": {"sluice.dev/release": `+string(want)+`}}}`, patch)
		require.NotEmpty(t, got["metadata"]["resourceVersion"])
		require.Equal(t, i == len(c.patches)-1, state == nil, "the last one removes it")
	}
}
