package webhook

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

func TestPatchesHaveOnlyWhatDiffersParentsFirst(t *testing.T) {
	value := func(v string) *string { return &v }
	yes, no := true, false
	const template = `"template":{"spec":{}}`
	tests := map[string]struct {
		object, want string
		wants        canary.Want
	}{
		"nothing wanted": {object: `{"spec":{` + template + `}}`},
		"what is there already": {
			object: `{"metadata":{"labels":{"a":"1"},"annotations":{"b":"2"}},"spec":{"paused":true,` + template + `}}`,
			wants:  canary.Want{Labels: map[string]*string{"a": value("1")}, Annotations: map[string]*string{"b": value("2"), "c": nil}, Paused: &yes},
		},
		"absent parents are made once": {
			object: `{"metadata":{},"spec":{` + template + `}}`,
			wants:  canary.Want{Annotations: map[string]*string{"x/b": value("2"), "x/a": value("1")}},
			want:   `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/x~1a","value":"1"},{"op":"add","path":"/metadata/annotations/x~1b","value":"2"}]`,
		},
		"a parent that is null is made": {
			object: `{"metadata":{"labels":null},"spec":{` + template + `}}`,
			wants:  canary.Want{Labels: map[string]*string{"a": value("1")}},
			want:   `[{"op":"add","path":"/metadata/labels","value":{}},{"op":"add","path":"/metadata/labels/a","value":"1"}]`,
		},
		"a tilde and a slash are escaped": {
			object: `{"metadata":{"labels":{}},"spec":{` + template + `}}`,
			wants:  canary.Want{Labels: map[string]*string{"a~b/c": value(`"<>`)}},
			want:   `[{"op":"add","path":"/metadata/labels/a~0b~1c","value":"\"\u003c\u003e"}]`,
		},
		"removed is only what is there": {
			object: `{"metadata":{"labels":{"a":""}},"spec":{` + template + `}}`,
			wants:  canary.Want{Labels: map[string]*string{"a": nil, "b": nil}, Annotations: map[string]*string{"c": nil}},
			want:   `[{"op":"remove","path":"/metadata/labels/a"}]`,
		},
		"paused comes off": {
			object: `{"spec":{"paused":true,` + template + `}}`, wants: canary.Want{Paused: &no},
			want: `[{"op":"add","path":"/spec/paused","value":false}]`,
		},
		"maxSurge without a strategy": {
			object: `{"spec":{"strategy":null,` + template + `}}`, wants: canary.Want{MaxSurge: []byte("3")},
			want: `[{"op":"add","path":"/spec/strategy","value":{}},{"op":"add","path":"/spec/strategy/rollingUpdate","value":{}},{"op":"add","path":"/spec/strategy/rollingUpdate/maxSurge","value":3}]`,
		},
		"maxSurge without rollingUpdate": {
			object: `{"spec":{"strategy":{"type":"RollingUpdate"},` + template + `}}`, wants: canary.Want{MaxSurge: []byte(`"25%"`)},
			want: `[{"op":"add","path":"/spec/strategy/rollingUpdate","value":{}},{"op":"add","path":"/spec/strategy/rollingUpdate/maxSurge","value":"25%"}]`,
		},
		"a digest in a template without metadata": {
			object: `{"spec":{` + template + `}}`, wants: canary.Want{Digest: value("v1:x")},
			want: `[{"op":"add","path":"/spec/template/metadata","value":{}},{"op":"add","path":"/spec/template/metadata/annotations","value":{}},{"op":"add","path":"/spec/template/metadata/annotations/sluice.dev~1config-hash","value":"v1:x"}]`,
		},
		"a digest comes off": {
			object: `{"spec":{"template":{"metadata":{"annotations":{"sluice.dev/config-hash":"v1:x"}}}}}`, wants: canary.Want{Digest: value("")},
			want: `[{"op":"remove","path":"/spec/template/metadata/annotations/sluice.dev~1config-hash"}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, err := canary.DecodeWorkload([]byte(test.object))
			require.NoError(t, err)
			p, err := patchFor([]byte(test.object), w, &test.wants)
			require.NoError(t, err)
			raw, err := p.bytes()
			require.NoError(t, err)
			require.Equal(t, test.want, string(raw))
			after := applyPatch(t, []byte(test.object), raw)
			w, err = canary.DecodeWorkload(after)
			require.NoError(t, err)
			p, err = patchFor(after, w, &test.wants)
			require.NoError(t, err)
			require.Empty(t, p)
		})
	}
}
