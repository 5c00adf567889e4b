package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Creator creates SubjectAccessReviews.
type Creator interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

const (
	// grantedFor is how long a permission that was withdrawn may still be used. A write with a release is
	// asked for up to three times within milliseconds.
	grantedFor = 5 * time.Second
	maxGranted = 1024
)

// permissions asks the API server what people may do. It remembers what they may for a moment, and never
// what they may not: a permission that was given counts at once.
type permissions struct {
	creator Creator
	granted *cache.LRUExpireCache
}

func newPermissions(creator Creator) permissions {
	return permissions{creator: creator, granted: cache.NewLRUExpireCache(maxGranted)}
}

// allowed tells whether the requesting user has a verb on the workload.
func (p permissions) allowed(ctx context.Context, req *request, verb string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: reviewOf(req, verb)}
	key, err := json.Marshal(review.Spec) // maps in the order of their keys
	if err != nil {
		return false, fmt.Errorf("encoding a SubjectAccessReview: %w", err)
	}
	if _, ok := p.granted.Get(string(key)); ok {
		return true, nil
	}
	if err := p.creator.Create(ctx, review); err != nil {
		return false, fmt.Errorf("checking whether %q may %s %s %s/%s: %w",
			req.UserInfo.Username, verb, req.Resource.Resource, req.Namespace, req.Name, err)
	}
	if review.Status.Allowed {
		p.granted.Add(string(key), true, grantedFor)
	}
	return review.Status.Allowed, nil
}

func reviewOf(req *request, verb string) authorizationv1.SubjectAccessReviewSpec {
	extra := make(map[string]authorizationv1.ExtraValue, len(req.UserInfo.Extra))
	for key, values := range req.UserInfo.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return authorizationv1.SubjectAccessReviewSpec{
		User:   req.UserInfo.Username,
		UID:    req.UserInfo.UID,
		Groups: req.UserInfo.Groups,
		Extra:  extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group:     req.Resource.Group,
			Version:   req.Resource.Version,
			Resource:  req.Resource.Resource,
			Namespace: req.Namespace,
			Name:      req.Name,
			Verb:      verb,
		},
	}
}
