// Package challenge has what proves that a domain is one's own.
package challenge

// Provider shows the proof and takes it away.
type Provider interface {
	Present(domain, token, keyAuth string) error
	CleanUp(domain, token, keyAuth string) error
}
