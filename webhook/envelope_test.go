package webhook

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	kjson "sigs.k8s.io/json"
)

func TestObjectsAreCutOutOfAReview(t *testing.T) {
	tests := map[string]struct {
		body, wantRest, wantObject, wantOld string
		wantUnsure                          bool
	}{
		"both": {
			body:       `{"kind":"AdmissionReview","request":{"uid":"1","object":{"a":[1,"}"]},"oldObject":{"b":{}},"dryRun":false}}`,
			wantRest:   `{"kind":"AdmissionReview","request":{"uid":"1","object":null,"oldObject":null,"dryRun":false}}`,
			wantObject: `{"a":[1,"}"]}`, wantOld: `{"b":{}}`},
		"space everywhere": {
			body:     " {\n\"request\" : { \"object\" : { \"a\" : 1 } , \"uid\" : \"1\" } } ",
			wantRest: " {\n\"request\" : { \"object\" : null , \"uid\" : \"1\" } } ", wantObject: `{ "a" : 1 }`},
		"quotes and backslashes in strings": {
			body:     `{"request":{"uid":"a\"b\\","object":{"\\\"":"\\"},"x":"}"}}`,
			wantRest: `{"request":{"uid":"a\"b\\","object":null,"x":"}"}}`, wantObject: `{"\\\"":"\\"}`},
		"null, numbers and strings are objects to nobody": {
			body: `{"request":{"object":null,"oldObject":12}}`, wantRest: `{"request":{"object":null,"oldObject":null}}`,
			wantObject: `null`, wantOld: `12`},
		"the last of two counts": {
			body:     `{"request":{"object":{"a":1}},"request":{"object":{"a":2}}}`,
			wantRest: `{"request":{"object":null},"request":{"object":null}}`, wantObject: `{"a":2}`},
		"an object elsewhere stays": {
			body: `{"object":{},"request":{"options":{"object":{}}}}`, wantRest: `{"object":{},"request":{"options":{"object":{}}}}`},
		"an escaped key is for the real decoder": {body: `{"request":{"obj\u0065ct":{}}}`, wantUnsure: true},
		"a request that is no object":            {body: `{"request":[]}`, wantUnsure: true},
		"nothing":                                {body: ``, wantUnsure: true},
		"cut off":                                {body: `{"request":{"object":{"a":"`, wantUnsure: true},
		"no value":                               {body: `{"request":{"object":}}`, wantUnsure: true},
		"no colon":                               {body: `{"request"}`, wantUnsure: true},
		"no key":                                 {body: `{1:2}`, wantUnsure: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rest, got, ok := cutObjects([]byte(test.body))
			require.Equal(t, !test.wantUnsure, ok)
			if ok {
				require.Equal(t, test.wantRest, string(rest))
				require.Equal(t, test.wantObject, string(got.object))
				require.Equal(t, test.wantOld, string(got.oldObject))
			}
		})
	}
}

func TestAMemberThatIsNotNeededIsNotDecoded(t *testing.T) {
	tests := map[string]struct{ object, want string }{
		"there":                  {`{"metadata":{"a":"b"},"spec":{"c":[1,"}"]}}`, `{"metadata":{"a":"b"},"spec":null}`},
		"twice":                  {`{"spec":1,"a":2,"spec":[3]}`, `{"spec":null,"a":2,"spec":null}`},
		"elsewhere":              {`{"a":{"spec":1}}`, `{"a":{"spec":1}}`},
		"not there":              {`{}`, `{}`},
		"spelled with an escape": {`{"sp\u0065c":1,"spec":2}`, `{"sp\u0065c":1,"spec":2}`},
		"no object":              {`[1]`, `[1]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, string(without("spec", []byte(test.object))))
		})
	}
}

// FuzzCutObjects compares with the API server's decoder on the whole review: whatever that decodes is
// decoded the same, and whatever it refuses is refused by the decoding of the parts.
func FuzzCutObjects(f *testing.F) {
	for _, body := range []string{
		`{"request":{"uid":"1","object":{"a":[1,"}"]},"oldObject":{"b":{}}}}`, `{"request":{"object":{"a":1}},"request":{"object":null}}`,
		`{"request":{"object":[{]}}`, `{"request":{"object":{"a":1]}}`, `{"request":{"object":1 2}}`, `{"request":{"object":tru}}`, `{"request":null}`,
		`{"request":{"object":"a\\\"b"},}`, `{"request":{},"request":{"object":{}}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rest, cut, ok := cutObjects(body)
		if !ok {
			return
		}
		var whole, parts admissionReview
		wholeErr := kjson.UnmarshalCaseSensitivePreserveInts(body, &whole)
		partsErr := kjson.UnmarshalCaseSensitivePreserveInts(rest, &parts)
		for _, object := range []json.RawMessage{cut.object, cut.oldObject} {
			if partsErr == nil && object != nil && !json.Valid(object) {
				partsErr = &fault{message: "not JSON"}
			}
		}
		if wholeErr != nil {
			// The first of two objects may be the one that is not JSON; nobody reads it.
			return
		}
		require.NoError(t, partsErr)
		if whole.Request == nil {
			return
		}
		require.Equal(t, string(whole.Request.Object), string(cut.object))
		require.Equal(t, string(whole.Request.OldObject), string(cut.oldObject))
		parts.Request.Object, parts.Request.OldObject = whole.Request.Object, whole.Request.OldObject
		require.Equal(t, whole, parts)
	})
}
