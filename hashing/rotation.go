package hashing

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	// Propagation is how long a new key is in the Secret before it is the current one: every replica knows it by then.
	// They begin to read the Secret RereadEvery after the last read ended. One read may fail, both may take a while, and
	// the clocks of two leaders may differ by clockSkew: 30 s + 30 s, 30 s for the reads, 1 m.
	Propagation = 3*RereadEvery + clockSkew
	// RereadEvery is the pause between two reads of the key Secret, in every replica.
	RereadEvery = 30 * time.Second
	clockSkew   = time.Minute
)

// Rotation is how far the rotation of the key has come, kept as JSON in AnnotationRotation of the key Secret: whoever
// leads next goes on there.
type Rotation struct {
	// Word is the AnnotationRotate that is being handled, or was.
	Word string `json:"word"`
	// Next is the id of the key that is to be the current one, "" where the word was handled.
	Next string `json:"next,omitempty"`
	// Since is a time at which Next was in the Secret, nil where nobody has seen it there yet.
	Since *time.Time `json:"since,omitempty"`
}

// DecodeRotation returns the zero Rotation where the annotation is absent. The error repeats nothing of it.
func DecodeRotation(annotations map[string]string) (Rotation, error) {
	value, found := annotations[AnnotationRotation]
	if !found {
		return Rotation{}, nil
	}
	var rotation Rotation
	if json.Unmarshal([]byte(value), &rotation) != nil {
		return Rotation{}, fmt.Errorf("annotation %s is not what sluice writes: remove it", AnnotationRotation)
	}
	return rotation, nil
}

// Encode returns the annotation's value.
func (r Rotation) Encode() string {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: encoding a rotation: %v", err)) // strings and a time
	}
	return string(raw)
}

// RotationAction is what to do with the key Secret.
type RotationAction string

// What is done, one guarded write for each but Rest and Wait.
const (
	Rest     RotationAction = "Rest"     // nothing is asked for
	Add      RotationAction = "Add"      // put a new key into the Secret, not as the current one
	Announce RotationAction = "Announce" // note that the key was seen there
	Wait     RotationAction = "Wait"     // until every replica knows it
	Promote  RotationAction = "Promote"  // make it the current one
)

// RotationStep is the next step of a rotation. Store is what AnnotationRotation is to hold with it; for Add its Next is
// the key that the caller makes.
type RotationStep struct {
	Action RotationAction
	Store  Rotation
	Wait   time.Duration
}

// NextRotation decides from what is in the key Secret, rules in order:
//
//	situation                                                action
//	a next key, which someone made current                   Promote, which notes that
//	a next key that nobody noted to have seen                Announce
//	  or that was noted in the future                        Announce
//	a next key, noted for less than Propagation              Wait
//	a next key, noted for longer                             Promote
//	no word, or the word that was handled                    Rest
//	another word, or one whose next key was taken out        Add
//
// The time is noted after the key was read from the Secret, and not with the write that adds it: however long that write
// was on its way, no replica has less than Propagation. A word that changes meanwhile begins a rotation of its own
// afterwards.
//
// No key is ever taken out. Workloads are noted under the new key, but old ones are named by ReplicaSets that a rollback
// returns to, by releases under way, by backups and by pod templates for as long as their config stays; a key too many
// costs a hundred bytes, a key too few the knowledge of what changed. Whoever wants one gone removes its entry: nothing
// rolls then either.
func NextRotation(asked string, stored Rotation, keys Keyring, now time.Time) RotationStep {
	if stored.Next != "" && keys.Has(stored.Next) {
		return underWay(stored, keys, now)
	}
	if asked == "" || (asked == stored.Word && stored.Next == "") {
		return RotationStep{Action: Rest, Store: stored}
	}
	return RotationStep{Action: Add, Store: Rotation{Word: asked}}
}

func underWay(stored Rotation, keys Keyring, now time.Time) RotationStep {
	done := RotationStep{Action: Promote, Store: Rotation{Word: stored.Word}}
	if keys.Current() == stored.Next {
		return done
	}
	if stored.Since == nil || stored.Since.After(now.Add(clockSkew)) {
		at := now.UTC().Truncate(time.Second)
		return RotationStep{Action: Announce, Store: Rotation{Word: stored.Word, Next: stored.Next, Since: &at}}
	}
	if wait := stored.Since.Add(Propagation).Sub(now); wait > 0 {
		return RotationStep{Action: Wait, Store: stored, Wait: wait}
	}
	return done
}
