package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// leaseName is the Lease of the one dev that serves a cluster.
const leaseName = "sluice-dev"

const (
	// leaseDuration without a renewal and the holder is given up.
	leaseDuration = 10 * time.Second
	renewInterval = 2 * time.Second
	lookInterval  = 250 * time.Millisecond
)

var errTakenOver = errors.New("another sluice dev took this cluster over")

// holder is a process: "host/pid".
type holder string

func self() (holder, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("reading the host name: %w", err)
	}
	return holder(host + "/" + strconv.Itoa(os.Getpid())), nil
}

// dead reports that the holder is known to have ended: a process of this machine
// that does not exist. A process id in use again only delays the takeover.
func (h holder) dead(here holder) bool {
	host, text, _ := strings.Cut(string(h), "/")
	own, _, _ := strings.Cut(string(here), "/")
	pid, err := strconv.Atoi(text)
	if err != nil || host != own || pid <= 0 {
		return false
	}
	process, err := os.FindProcess(pid)
	return err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// claim is what one look at the Lease says.
type claim struct {
	holder  holder
	renewed string // compared, never read as a time: clocks differ
}

// verdict is what to do about a claim.
type verdict int

const (
	takeIt verdict = iota // nobody holds it, or who does has ended
	wait                  // perhaps they have: look again
	yield                 // they renew it
)

// judge decides from the first claim seen, the present one, and for how long it
// has been watched.
func judge(first, present claim, here holder, watched time.Duration, dead func(holder) bool) verdict {
	switch {
	case present.holder == "" || present.holder == here || dead(present.holder):
		return takeIt
	case present != first:
		return yield
	case watched >= leaseDuration:
		return takeIt
	}
	return wait
}

// lease keeps other devs out.
type lease struct {
	client    client.Client
	namespace string
	here      holder
	now       func() time.Time
}

// take returns once this process holds the Lease, or with who does.
func (l *lease) take(ctx context.Context) error {
	var first *claim
	start := l.now()
	for {
		found, err := l.get(ctx)
		if err != nil {
			return err
		}
		present := claimOf(found)
		if first == nil {
			first = &present
		}
		switch judge(*first, present, l.here, l.now().Sub(start), func(h holder) bool { return h.dead(l.here) }) {
		case yield:
			return fmt.Errorf("another sluice dev serves this cluster (%s): stop that first", present.holder)
		case takeIt:
			err := l.write(ctx, found)
			if err == nil || !(apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)) {
				return err
			}
		case wait:
			log.FromContext(ctx).V(1).Info("waiting whether another sluice dev is alive", "holder", present.holder)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookInterval):
		}
	}
}

// keep renews the Lease until ctx ends. It returns an error when someone else
// took it: this process was paused or cut off, and its webhooks are theirs now.
func (l *lease) keep(ctx context.Context) error {
	ticks := time.NewTicker(renewInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		found, err := l.get(ctx)
		if err == nil {
			if by := claimOf(found).holder; by != l.here {
				return fmt.Errorf("%w (%q)", errTakenOver, by)
			}
			err = l.write(ctx, found)
		}
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).V(1).Info("renewing the lease failed", "lease", leaseName, "error", err.Error())
		}
	}
}

// release gives the Lease up, so that the next dev need not ask who lives.
func (l *lease) release(ctx context.Context) error {
	found, err := l.get(ctx)
	if err != nil || found == nil || claimOf(found).holder != l.here {
		return err
	}
	return client.IgnoreNotFound(l.client.Delete(ctx, found, client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}))
}

func (l *lease) get(ctx context.Context) (*coordinationv1.Lease, error) {
	found := &coordinationv1.Lease{}
	err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: leaseName}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Lease %s: %w", leaseName, err)
	}
	return found, nil
}

// write makes this process the holder; found is nil where there is no Lease yet.
func (l *lease) write(ctx context.Context, found *coordinationv1.Lease) error {
	wanted := &coordinationv1.Lease{}
	if found != nil {
		wanted = found.DeepCopy()
	}
	wanted.Namespace, wanted.Name = l.namespace, leaseName
	wanted.Labels = map[string]string{managedByLabel: managedByDev}
	wanted.Spec.HolderIdentity = ptr.To(string(l.here))
	wanted.Spec.LeaseDurationSeconds = ptr.To(int32(leaseDuration / time.Second))
	wanted.Spec.RenewTime = ptr.To(metav1.NewMicroTime(l.now()))
	var err error
	if found == nil {
		err = l.client.Create(ctx, wanted, client.FieldOwner(FieldManager))
	} else {
		err = l.client.Update(ctx, wanted, client.FieldOwner(FieldManager))
	}
	if err != nil {
		return fmt.Errorf("writing Lease %s: %w", leaseName, err)
	}
	return nil
}

func claimOf(found *coordinationv1.Lease) claim {
	if found == nil {
		return claim{}
	}
	c := claim{holder: holder(ptr.Deref(found.Spec.HolderIdentity, ""))}
	if found.Spec.RenewTime != nil {
		c.renewed = found.Spec.RenewTime.UTC().Format(time.RFC3339Nano)
	}
	return c
}
