package hashing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const digestVersion = "v1"

// Digest returns the digest of what the references use of the objects, all of one namespace. It is "" if and only if
// there are no references: then the template needs no annotation.
//
// previous is the digest that the workload has now, "" for none. If it is the digest of this very content under any known
// key, it is returned as it is, so that a new key changes nothing by itself. Otherwise the answer is under the current
// key. If previous can't be verified the error is an *UnverifiableError: the caller then keeps previous while template
// and content are unchanged, and otherwise asks again with previous "".
//
// Ignored objects are left out, but a previous digest that counted them is still good: putting AnnotationConfig on a
// Secret must not roll what uses it.
//
// What previous says is pinned stays as it is with it, and a new digest pins nothing: see Pin.
//
// Required objects that are absent are left out like optional ones; Missing names them, and the caller decides.
func (k Keyring) Digest(previous, namespace string, refs []Reference, objects []Object) (string, error) {
	if len(refs) == 0 {
		return "", nil
	}
	content, err := usedContent(namespace, refs, objects)
	if err != nil {
		return "", err
	}
	if previous != "" {
		same, err := k.verify(previous, content)
		if err != nil {
			return "", err
		}
		if same {
			return previous, nil
		}
	}
	current, known := k.keys[k.current]
	if !known {
		return "", errors.New("hashing config: the keyring has no current key")
	}
	return formatDigest(k.current, content.sum(current, false)), nil
}

// verify says whether a digest is one of the content.
func (k Keyring) verify(digest string, content content) (bool, error) {
	id, sum, err := parseDigest(digest)
	if err != nil {
		return false, err
	}
	key, known := k.keys[id]
	if !known {
		return false, &UnverifiableError{KeyID: id, reason: fmt.Sprintf("its key %s is not known", id)}
	}
	if hmac.Equal(sum, content.sum(key, false)) {
		return true, nil
	}
	return content.hasIgnored() && hmac.Equal(sum, content.sum(key, true)), nil
}

func formatDigest(keyID string, sum []byte) string {
	return digestVersion + ":" + keyID + ":" + hex.EncodeToString(sum)
}

// parseDigest accepts exactly what formatDigest and Pin write: one digest has one spelling.
func parseDigest(digest string) (keyID string, sum []byte, err error) {
	version, _, found := strings.Cut(digest, ":")
	if found && version != digestVersion && isVersion(version) {
		return "", nil, &UnverifiableError{reason: fmt.Sprintf("its version %s is not known", version)}
	}
	plain, list, pins := cutPinned(digest)
	keyID, digits, _ := strings.Cut(strings.TrimPrefix(plain, digestVersion+":"), ":")
	sum, err = hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size || !isKeyID(keyID) || formatDigest(keyID, sum) != plain || (pins && !isPinnedList(list)) {
		return "", nil, &UnverifiableError{reason: "it is not of the form v1:KEY-ID:HEX, which a list of objects may follow"}
	}
	return keyID, sum, nil
}

// isVersion is true for v1 to v999: a version of a later sluice.
func isVersion(s string) bool {
	digits, found := strings.CutPrefix(s, "v")
	return found && len(digits) > 0 && len(digits) <= 3 && strings.Trim(digits, "0123456789") == ""
}

// UnverifiableError says that a previous digest can't be compared with any content: it was written by a later version
// of sluice, with a key that is lost, or not by sluice at all.
type UnverifiableError struct {
	// KeyID is the id of the unknown key, and "" if the digest could not be read so far. Another replica may have made
	// the key a moment ago.
	KeyID  string
	reason string
}

// IsUnverifiable tells whether an error is an UnverifiableError and nothing else. Where the key could not even be looked
// for, that is joined to it: who took that for a lost key would take a change for what always was.
func IsUnverifiable(err error) bool {
	var unverifiable *UnverifiableError
	var joined interface{ Unwrap() []error }
	return errors.As(err, &unverifiable) && !errors.As(err, &joined)
}

func (e *UnverifiableError) Error() string {
	return "verifying the previous config digest: " + e.reason
}
