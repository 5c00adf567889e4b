package dev

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/cmd/sluice/server"
	"sluice.dev/sluice/manifests"
)

// Generations of the probes.
const (
	beforeWebhooks = "reach"
	withWebhooks   = "served"
)

// serve installs what the server needs and runs it until ctx ends.
func (s *session) serve(ctx context.Context, serving server.Options) error {
	var err error
	if s.before, err = s.install.existing(ctx); err != nil {
		return err
	}
	if err := s.install.apply(ctx, s.install.parts.account...); err != nil {
		return err
	}
	if err := s.installProbes(ctx); err != nil {
		return err
	}
	account := asAccount(s.person, tokens{ctx: context.WithoutCancel(ctx), client: s.client, namespace: serving.Namespace, now: time.Now})
	if err := awaitAccount(ctx, account, serving.Namespace); err != nil {
		return err
	}
	running, err := server.New(account, serving, server.Hooks{
		Serving: func(ctx context.Context) error { return s.served(ctx, serving.Namespace) },
		Leaving: func(context.Context) { s.leaving(ctx) },
	})
	if err != nil {
		return err
	}
	return running.Run(ctx)
}

// installProbes gives the server configurations to write its caBundle into,
// which call nobody yet. Those of an earlier dev block already, as they must:
// they stay, and only their address changes.
func (s *session) installProbes(ctx context.Context) error {
	for _, configuration := range s.install.parts.webhooks {
		found, err := s.install.find(ctx, configuration)
		if err != nil {
			return err
		}
		probed := withProbe(configuration, s.base, beforeWebhooks, found == nil)
		if found != nil {
			trust(probed, bundle(found))
		}
		if err := s.install.apply(ctx, probed); err != nil {
			return err
		}
	}
	return nil
}

// served makes the API server call this process, and says so once it does.
func (s *session) served(ctx context.Context, namespace string) error {
	if err := s.install.claim(ctx, s.before); err != nil {
		return err
	}
	if err := s.reached(ctx, namespace, beforeWebhooks); err != nil {
		return err
	}
	for _, full := range []bool{true, false} {
		if err := s.installWebhooks(ctx, full); err != nil {
			return err
		}
		if full {
			if err := s.reached(ctx, namespace, withWebhooks); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(s.console.Out, "sluice serves %s for context %s; Ctrl-C removes it\n", s.base, s.person.Name)
	return err
}

// installWebhooks writes the shipped webhooks, at first with a probe that tells
// when they are in force.
func (s *session) installWebhooks(ctx context.Context, probed bool) error {
	for _, configuration := range s.install.parts.webhooks {
		found, err := s.install.find(ctx, configuration)
		if err != nil {
			return err
		}
		if found == nil {
			return fmt.Errorf("%s is gone: somebody else takes sluice out", describe(configuration))
		}
		wanted := configuration.DeepCopy()
		if probed {
			wanted = withProbe(configuration, s.base, withWebhooks, false)
		}
		trust(wanted, bundle(found))
		if err := s.install.apply(ctx, wanted); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) reached(ctx context.Context, namespace, generation string) error {
	for _, configuration := range s.install.parts.webhooks {
		if err := reach(ctx, s.client, namespace, configuration.GetKind(), generation); err != nil {
			return err
		}
	}
	return nil
}

// leaving says what stays held and takes the webhooks out while the server still
// answers them.
func (s *session) leaving(ctx context.Context) {
	if overtaken(ctx) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTimeout)
	defer cancel()
	// What fails is tried again by leave, which tells it.
	_ = s.patiently(ctx, func(ctx context.Context) error { return reportHeld(ctx, s.client, s.console.Err) })
	_ = s.patiently(ctx, s.install.removeWebhooks)
}

const (
	// takeOutTimeout is how long taking out is tried when the API server is away.
	takeOutTimeout  = 15 * time.Second
	takeOutInterval = time.Second
)

// leave takes out everything that is left.
func (s *session) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeOutTimeout)
	defer cancel()
	for _, work := range []func(context.Context) error{s.install.removeWebhooks, s.lease.release, s.install.removeRest} {
		if err := s.patiently(ctx, work); err != nil {
			return fmt.Errorf("%w\nNot everything could be taken out. Start sluice dev again, which takes it over, or unblock the cluster:\n"+
				"  kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration %s", s.person.Explain(err), manifests.Name)
		}
	}
	fmt.Fprintf(s.console.Err, "sluice is taken out of context %s\n", s.person.Name)
	return nil
}

// patiently tries until it works or ctx ends.
func (s *session) patiently(ctx context.Context, work func(context.Context) error) error {
	for {
		err := work(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(takeOutInterval):
		}
	}
}

// awaitAccount waits until the API server knows the ServiceAccount's permissions,
// which are new to it, and makes sure that it is who the server acts as.
func awaitAccount(ctx context.Context, account server.Cluster, namespace string) error {
	c, err := client.New(account.Config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return fmt.Errorf("making the ServiceAccount's client: %w", err)
	}
	whoami := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, whoami); err != nil {
		return fmt.Errorf("asking who the ServiceAccount is: %w", err)
	}
	wanted := "system:serviceaccount:" + namespace + ":" + manifests.Name
	if got := whoami.Status.UserInfo.Username; got != wanted {
		return fmt.Errorf("the API server takes sluice for %q instead of %q: does a proxy on the way add credentials?", got, wanted)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for _, attributes := range lastPermissions(namespace) {
		if err := awaitPermission(ctx, c, attributes); err != nil {
			return err
		}
	}
	return nil
}

// lastPermissions are one of the ClusterRole and one of the Role; each role
// comes into force as a whole.
func lastPermissions(namespace string) []authorizationv1.ResourceAttributes {
	return []authorizationv1.ResourceAttributes{
		{Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations", Name: manifests.Name, Verb: "patch"},
		{Namespace: namespace, Resource: "secrets", Verb: "create"},
	}
}

func awaitPermission(ctx context.Context, c client.Client, attributes authorizationv1.ResourceAttributes) error {
	for {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
		if err := c.Create(ctx, review); err != nil {
			return fmt.Errorf("asking what the ServiceAccount may do: %w", err)
		}
		if review.Status.Allowed {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ServiceAccount may not %s %s, though its role was installed: is RBAC on?", attributes.Verb, attributes.Resource)
		case <-time.After(reachInterval):
		}
	}
}
