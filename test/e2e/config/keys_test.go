package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
)

// The other tests of this package notice nothing of it.
func TestTheKeyIsRotatedWhileOthersRelease(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	other := builders.MakeDeployment("held").Replicas(3)
	reads(&other.Template().Spec)
	s.Create(other.Obj())
	s.seen("web")
	s.seen("held")
	s.setSecret("db", "PASSWORD", "trout")
	s.held("web")
	s.Approve("web")
	s.WaitStable("web")
	s.held("held")
	before, pods := s.Deployment("web").Spec.Template, s.PodsOf("web", v1)

	s.annotateKey(hashing.AnnotationRotate, "e2e")
	s.rotation(func(_ *corev1.Secret, r hashing.Rotation) error {
		if r.Since == nil {
			return fmt.Errorf("it is not announced: %v", r)
		}
		passed := r.Since.Add(-hashing.Propagation)
		r.Since = &passed
		s.annotateKey(hashing.AnnotationRotation, r.Encode())
		return nil
	})
	secret := s.rotation(func(secret *corev1.Secret, r hashing.Rotation) error {
		if r.Next != "" || len(secret.Data) != 3 {
			return fmt.Errorf("it is not over: %v", r)
		}
		return nil
	})
	under := "v1:" + string(secret.Data["current"]) + ":"
	for _, name := range []string{"web", "held"} {
		s.Eventually("what is seen of "+name+" is under the new key", func(context.Context) error {
			if seen := s.seen(name); !strings.HasPrefix(seen.Digest, under) {
				return errors.New(seen.Digest)
			}
			return nil
		})
	}
	require.Equal(t, before, s.Deployment("web").Spec.Template)
	require.Equal(t, pods, s.PodsOf("web", v1))
	require.Equal(t, canary.Waiting, s.Release("held").Phase)
	s.versions("web", 2)
	s.versions("held", 2)

	s.setSecret("db", "PASSWORD", "swordfish")
	s.WaitStable("held")
	require.Equal(t, "secret/db: PASSWORD", s.held("web").Cause)
	s.versions("held", 1)
}

// rotation waits until the key Secret is as asked for, and returns it.
func (s space) rotation(ok func(*corev1.Secret, hashing.Rotation) error) *corev1.Secret {
	s.t.Helper()
	var secret *corev1.Secret
	s.Eventually("the rotation of the key goes on", func(ctx context.Context) error {
		var err error
		if secret, err = s.Admin.CoreV1().Secrets("sluice-system").Get(ctx, "sluice-hash-key", metav1.GetOptions{}); err != nil {
			return err
		}
		rotation, err := hashing.DecodeRotation(secret.Annotations)
		if err != nil {
			return err
		}
		return ok(secret, rotation)
	})
	return secret
}

func (s space) annotateKey(key, value string) {
	s.t.Helper()
	r := s.Command("admin", "kubectl", "--namespace=sluice-system", "annotate", "--overwrite", "secret", "sluice-hash-key", key+"="+value)
	require.Zero(s.t, r.Code, r.String())
}
