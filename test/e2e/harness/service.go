package harness

import (
	"context"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// createServices creates what the pods of a Deployment "web" and of a StatefulSet "db" serve, so that the
// judge sees their endpoints.
func (n *Namespace) createServices(ctx context.Context) {
	n.t.Helper()
	for name, app := range map[string]string{"front": "web", "db": "db"} {
		_, err := n.Admin.CoreV1().Services(n.Name).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.ServiceSpec{
				ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": app}, Ports: []corev1.ServicePort{{Port: 80}},
			},
		}, metav1.CreateOptions{})
		require.NoError(n.t, err)
	}
}
