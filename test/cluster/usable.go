package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// nodes is their number. Each takes 2000 pods, so that a thousand pods have
// room even while a rollout doubles them.
const nodes = 3

// createNode creates a node that is ready from the start. Nothing reports its
// health later; see --node-monitor-grace-period.
func (c *Cluster) createNode(ctx context.Context, name string) error {
	resources := object{"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": "2000"}
	now := time.Now().UTC().Format(time.RFC3339)
	body, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": object{"name": name, "labels": object{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		}},
		"status": object{
			"capacity": resources, "allocatable": resources,
			"conditions": []object{{
				"type": "Ready", "status": "True", "reason": "KubeletReady",
				"lastHeartbeatTime": now, "lastTransitionTime": now,
			}},
			"addresses": []object{{"type": "Hostname", "address": name}},
			"nodeInfo":  object{"operatingSystem": "linux", "architecture": "amd64"},
		},
	})
	if err != nil {
		return fmt.Errorf("describing node %s: %w", name, err)
	}
	if _, err := c.client.do(ctx, http.MethodPost, c.URL()+"/api/v1/nodes", body); err != nil {
		return fmt.Errorf("creating node %s: %w", name, err)
	}
	return nil
}

// waitUntilUsable returns when the controllers have done what every later
// step relies on.
func (c *Cluster) waitUntilUsable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // a busy machine needs 15 s
	defer cancel()
	for _, usable := range []func(context.Context) error{
		c.nodesUsable, c.defaultServiceAccount, c.rolesAggregated,
	} {
		if err := poll(ctx, func() error { return usable(ctx) }); err != nil {
			return fmt.Errorf("waiting for the cluster to be usable: %w", err)
		}
	}
	return nil
}

// nodesUsable asks for nodes without taints: every node starts with "not
// ready", which the node controller takes away.
func (c *Cluster) nodesUsable(ctx context.Context) error {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Taints []struct{ Key string } }
		}
	}
	if err := c.client.read(ctx, c.URL()+"/api/v1/nodes", &list); err != nil {
		return err
	}
	if len(list.Items) != nodes {
		return fmt.Errorf("%d nodes of %d", len(list.Items), nodes)
	}
	for _, node := range list.Items {
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("node %s is tainted %s", node.Metadata.Name, node.Spec.Taints[0].Key)
		}
	}
	return nil
}

func (c *Cluster) defaultServiceAccount(ctx context.Context) error {
	_, err := c.client.get(ctx, c.URL()+"/api/v1/namespaces/default/serviceaccounts/default")
	return err
}

// rolesAggregated asks for the rules of the built-in roles, which a controller
// collects; before that alice and carol may do nothing.
func (c *Cluster) rolesAggregated(ctx context.Context) error {
	for _, name := range []string{"view", "edit", "admin"} {
		var role struct{ Rules []json.RawMessage }
		url := c.URL() + "/apis/rbac.authorization.k8s.io/v1/clusterroles/" + name
		if err := c.client.read(ctx, url, &role); err != nil {
			return err
		}
		if len(role.Rules) == 0 {
			return errors.New("the role " + name + " has no rules yet")
		}
	}
	return nil
}
