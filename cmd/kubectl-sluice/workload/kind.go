package workload

import (
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
)

// Kind is a kind of workload that can have a release.
type Kind struct {
	// Name is the API's, for example Deployment.
	Name string
	// Resource is what the API server calls it.
	Resource schema.GroupVersionResource
	// PodLabel tells the pods of its revisions apart.
	PodLabel string

	short     string
	revisions func(context.Context, *Reader, *Workload) ([]Revision, error)
	// rolledOut tells whether the native controller has nothing left to do.
	rolledOut func(*Workload) bool
}

// The kinds, in the order in which they are listed.
var (
	Deployment = &Kind{
		Name: canary.Deployment, Resource: appsv1.SchemeGroupVersion.WithResource("deployments"), short: "deploy",
		PodLabel: appsv1.DefaultDeploymentUniqueLabelKey, revisions: replicaSets, rolledOut: deploymentRolledOut,
	}
	StatefulSet = &Kind{
		Name: canary.StatefulSet, Resource: appsv1.SchemeGroupVersion.WithResource("statefulsets"), short: "sts",
		PodLabel: appsv1.StatefulSetRevisionLabel, revisions: controllerRevisions, rolledOut: statefulSetRolledOut,
	}
	Kinds = []*Kind{Deployment, StatefulSet}
)

// String is the kind as kubectl writes it before a name: "deployment".
func (k *Kind) String() string { return strings.ToLower(k.Name) }

// KindOf returns the kind of a word that kubectl would accept for it, nil where there is none:
// deploy, deployment, Deployments, deployments.apps, deployments.v1.apps.
func KindOf(word string) *Kind {
	word = strings.ToLower(word)
	for _, k := range Kinds {
		resource := k.Resource.Resource
		words := []string{
			k.short, k.String(), resource, k.String() + ".apps", resource + ".apps", k.String() + ".v1.apps", resource + ".v1.apps",
		}
		if slices.Contains(words, word) {
			return k
		}
	}
	return nil
}
