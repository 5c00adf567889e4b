package harness

import "context"

type bodyKey struct{}

// withBody keeps a request's body for whoever sees the response.
func withBody(ctx context.Context, body string) context.Context {
	return context.WithValue(ctx, bodyKey{}, body)
}

func bodyOf(ctx context.Context) string {
	body, _ := ctx.Value(bodyKey{}).(string)
	return body
}
