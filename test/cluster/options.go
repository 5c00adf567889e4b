package cluster

import (
	"io"
	"time"
)

// Options says how to start a cluster. The zero value is one for a test: a
// temporary folder, processes that end with the test, progress discarded.
type Options struct {
	// Dir holds the cluster's data, logs and credentials. It must be absent,
	// empty, or left over from a cluster that has ended, and stays after Stop.
	// Empty means a temporary folder that Stop, or the end of this process, removes.
	Dir string
	// Log receives the progress of building and starting; nil discards it.
	Log io.Writer
	// Detached lets the processes outlive this one, to be ended by Open and
	// Stop. It needs a Dir.
	Detached bool
	// Users are added to the built-in ones of the package comment.
	Users []User
	// Flags are appended to the command line of the process that they are keyed by.
	Flags map[string][]string
	// Tools are built besides those that every cluster needs, e.g. "traefik".
	Tools []string
	// Grace is how long a deleted pod lives on, terminating, as one does whose
	// containers end in their own time. Zero: it is gone at once.
	Grace time.Duration
}

// A User is someone whom the API server knows by a token.
type User struct {
	Name     string   // of the kubeconfig, e.g. "alice"
	Username string   // towards the API server; empty means Name
	Groups   []string // besides system:authenticated
}

func (o Options) log() io.Writer {
	if o.Log == nil {
		return io.Discard
	}
	return o.Log
}
