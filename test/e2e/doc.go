// Package e2e holds the tests of sluice on a real control plane: the shipped manifests, the binary as a
// process of its own, kubectl and Helm as people run them. See package harness for what they run on and
// package watch for what is asserted at every instant of each of them.
package e2e
