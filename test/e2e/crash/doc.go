// Package crash holds the end-to-end tests that end sluice: after one of its own writes and another, for
// long, and for good, and those that take its watches or its rights away. They run one after another on a
// control plane of their own, since a dead sluice blocks what other tests do; only the runs of one sweep
// share theirs, and each other's crashes.
package crash
