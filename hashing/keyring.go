package hashing

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

const (
	keySize = 32
	// currentEntry is the entry of the key Secret that names the key for new digests.
	currentEntry = "current"
	// idDomain keeps the id, which everybody can read, apart from every other use of the key.
	idDomain = "sluice.dev/hash-key-id/v1"
)

// Key is one HMAC key.
type Key struct {
	// A function, because fmt follows pointers: no verb shows what a closure holds, in whatever struct the key is.
	secret func() [keySize]byte
}

// NewKey reads a new key from a source of randomness, crypto/rand.Reader outside of tests.
func NewKey(random io.Reader) (Key, error) {
	var secret [keySize]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return Key{}, fmt.Errorf("reading randomness for a hash key: %w", err)
	}
	return keyFrom(secret), nil
}

func keyFrom(secret [keySize]byte) Key {
	return Key{secret: func() [keySize]byte { return secret }}
}

// ID is the first eight hex digits of SHA-256(idDomain, a zero byte, key). The key is random and far longer than any
// search could cover, so its hash helps nobody to find it.
func (k Key) ID() string {
	secret := k.secret()
	sum := sha256.Sum256(append([]byte(idDomain+"\x00"), secret[:]...))
	return hex.EncodeToString(sum[:4])
}

func isKeyID(s string) bool {
	return len(s) == 8 && strings.Trim(s, "0123456789abcdef") == ""
}

// Keyring is the current key and the older ones that digests still name. The zero Keyring verifies nothing and makes no
// digests.
type Keyring struct {
	current string
	keys    map[string]Key
}

// NewKeyring returns a keyring of one key.
func NewKeyring(key Key) Keyring {
	return Keyring{current: key.ID(), keys: map[string]Key{key.ID(): key}}
}

// Rotated returns a keyring with a new current key that knows all keys of k.
func (k Keyring) Rotated(key Key) Keyring {
	return k.With(key).WithCurrent(key.ID())
}

// With returns a keyring that knows one key more. Which one is current stays.
func (k Keyring) With(key Key) Keyring {
	return k.Joined(Keyring{keys: map[string]Key{key.ID(): key}})
}

// WithCurrent returns a keyring with another current key, which must be one that it knows: it makes no digests otherwise.
func (k Keyring) WithCurrent(id string) Keyring {
	return Keyring{current: id, keys: k.keys}
}

// Joined returns a keyring that knows the keys of both. Which one is current stays.
func (k Keyring) Joined(other Keyring) Keyring {
	return Keyring{current: k.current, keys: either(k.keys, other.keys)}
}

// HasAll says whether all keys of another keyring are known.
func (k Keyring) HasAll(other Keyring) bool {
	for id := range other.keys {
		if !k.Has(id) {
			return false
		}
	}
	return true
}

// Current is the id of the key for new digests.
func (k Keyring) Current() string { return k.current }

// Has says whether the key of that id is known.
func (k Keyring) Has(id string) bool {
	_, known := k.keys[id]
	return known
}

// Data is the data of the key Secret: each key under its id, and "current" with the id of the current one.
func (k Keyring) Data() map[string][]byte {
	data := map[string][]byte{currentEntry: []byte(k.current)}
	for id, key := range k.keys {
		secret := key.secret()
		data[id] = secret[:]
	}
	return data
}

// ParseKeyring is the inverse of Data. The error names every malformed entry, and no value.
func ParseKeyring(data map[string][]byte) (Keyring, error) {
	keyring := Keyring{keys: map[string]Key{}}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(data)) {
		if id == currentEntry {
			continue
		}
		key, err := parseKey(id, data[id])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		keyring.keys[id] = key
	}
	current, named := data[currentEntry]
	keyring.current = string(current)
	if _, known := keyring.keys[keyring.current]; !known {
		faults = append(faults, currentFault(named))
	}
	if len(faults) > 0 {
		return Keyring{}, fmt.Errorf("parsing hash keys: %w", errors.Join(faults...))
	}
	return keyring, nil
}

func parseKey(id string, secret []byte) (Key, error) {
	if len(secret) != keySize {
		return Key{}, fmt.Errorf("entry %q must be a key of %d bytes, has %d", id, keySize, len(secret))
	}
	key := keyFrom([keySize]byte(secret))
	if key.ID() != id {
		return Key{}, fmt.Errorf("entry %q holds the key with the id %s: an entry is named after its key", id, key.ID())
	}
	return key, nil
}

// currentFault does not repeat the value: someone may have put a key there.
func currentFault(named bool) error {
	if !named {
		return fmt.Errorf("entry %q is missing", currentEntry)
	}
	return fmt.Errorf("entry %q does not name a valid key of this Secret", currentEntry)
}
