// Package ext stands for a package that Traefik's module refers to and that is not published: what other builds
// of Traefik may add to its configuration. Here they add nothing.
package ext

// HTTP extends the configuration for HTTP.
type HTTP struct{}

// Router extends the configuration of a router.
type Router struct{}
