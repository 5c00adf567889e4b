package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"
)

// A Write is one request that asked the API server to change something,
// whether it was granted or not.
type Write struct {
	Time        time.Time // when the API server received it
	User        string    // e.g. "alice", "system:serviceaccount:kube-system:deployment-controller"
	Agent       string    // the client program's own name, e.g. "kubectl/v1.37.0 ..."
	Verb        string    // create, update, patch, delete, deletecollection
	Group       string    // of the API, e.g. "apps"
	Resource    string    // e.g. "deployments"
	Subresource string    // e.g. "status"
	Namespace   string
	Name        string
	Code        int // of the HTTP response
	DryRun      bool
}

// AuditLog returns the path of the API server's audit log: one JSON object a
// line, for all requests but get, list and watch, without contents.
func (c *Cluster) AuditLog() string { return c.path("audit.log") }

// Writes returns all writes until now, oldest response first. The API server
// logs a write before it answers, so what a client has been told is here.
func (c *Cluster) Writes() ([]Write, error) {
	file, err := os.Open(c.AuditLog())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	var writes []Write
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the line being written now, or the last one of a killed API server
		}
		writes = append(writes, event.write())
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return writes, nil
}

type auditEvent struct {
	Verb                     string
	RequestURI               string
	RequestReceivedTimestamp time.Time
	UserAgent                string
	User                     struct{ Username string }
	ObjectRef                struct{ APIGroup, Resource, Subresource, Namespace, Name string }
	ResponseStatus           struct{ Code int }
}

func (e auditEvent) write() Write {
	_, query, _ := strings.Cut(e.RequestURI, "?")
	values, _ := url.ParseQuery(query)
	return Write{
		Time: e.RequestReceivedTimestamp, User: e.User.Username, Agent: e.UserAgent, Verb: e.Verb,
		Group: e.ObjectRef.APIGroup, Resource: e.ObjectRef.Resource, Subresource: e.ObjectRef.Subresource,
		Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
		Code: e.ResponseStatus.Code, DryRun: values.Has("dryRun"),
	}
}
