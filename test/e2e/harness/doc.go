// Package harness runs sluice as its users do: `sluice dev` as a process of its own, with exactly the
// rights that its manifests give it, against a real control plane, which it reaches through a proxy that
// counts what it writes.
//
// An Env is one control plane and what is built once. A Sluice is a process that can be killed at any
// instant, also right after its n-th write. A Namespace is where one test lives: opted in, with its own
// clients, and judged by package watch from its first object to its last. What tests do most, a new image, an approval
// and an abort, it sends as kubectl does, without a kubectl.
package harness
