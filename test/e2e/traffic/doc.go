// Package traffic shows with real requests what becomes of them in a release: which version answers how many, and that
// none is lost, whoever edits the route meanwhile and whenever sluice dies. Each test is one for HTTPRoutes of the
// Gateway API and one for Ingresses of ingress-nginx.
package traffic
