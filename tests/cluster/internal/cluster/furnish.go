package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"drover.dev/tests/cluster/internal/node"
)

// furnish creates the objects that a cluster comes with and waits until pods
// can be scheduled.
func (c *Cluster) furnish(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := awaitAPI(ctx, client); err != nil {
		return err
	}
	if err := createFurniture(ctx, client); err != nil {
		return err
	}
	if err := awaitDefaultAccount(ctx, client); err != nil {
		return err
	}
	if err := awaitNode(ctx, client); err != nil {
		return err
	}
	c.step("node is ready")
	return nil
}

// client talks to the API as the administrator does, by way of the host's port.
func (c *Cluster) client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.dir.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	// Polling must not be slowed down by the client's own limit.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return client, nil
}

func awaitAPI(ctx context.Context, client kubernetes.Interface) error {
	for {
		err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return nil
		}
		if err := pause(ctx, "API server: "+err.Error()); err != nil {
			return err
		}
	}
}

// awaitDefaultAccount waits for what no pod can be created without.
func awaitDefaultAccount(ctx context.Context, client kubernetes.Interface) error {
	accounts := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	for {
		_, err := accounts.Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			return fmt.Errorf("look for the default service account: %w", err)
		}
		if err := pause(ctx, "no default service account yet"); err != nil {
			return err
		}
	}
}

func awaitNode(ctx context.Context, client kubernetes.Interface) error {
	for {
		current, err := client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
		pending := "node is not ready"
		switch {
		case err != nil:
			pending = err.Error()
		case isReady(current):
			return nil
		}
		if err := pause(ctx, pending); err != nil {
			return err
		}
	}
}

// isReady also wants the taint gone that keeps pods off a node that was not
// ready a moment ago.
func isReady(current *corev1.Node) bool {
	if len(current.Spec.Taints) > 0 {
		return false
	}
	for _, condition := range current.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
