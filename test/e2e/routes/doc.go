// Package routes shows releases behind each kind of route that sluice divides, by the schemas that their projects
// publish, on the real API server. No gateway runs here: what one says in a route's status the tests say.
package routes
