// Package split decides what a route has to look like for a canary to get its share. Nothing calls it yet: it is
// the pure half of traffic, and the edge that reads and writes routes is to come.
package split
