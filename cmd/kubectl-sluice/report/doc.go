// Package report makes of what was read what is shown: a ReleaseStatus, the same for people and, as
// `-o json` or `-o yaml`, for programs.
//
// The rule: objects in, values out; no client and no clock. Field names and meanings are those of
// apiVersion sluice.dev/v1. A field may be added, none is renamed or given another meaning. What does
// not apply is absent; times are RFC 3339 in UTC.
//
// What a release waits for, and which command goes on, is decided in situation.go alone.
package report
