package cluster

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
)

// builtin are the users that every cluster has. What the groups may do is in
// manifests.yaml, but for system:masters, who may do anything.
var builtin = []User{
	{Name: "admin", Groups: []string{"system:masters"}},
	{Name: "alice", Groups: []string{"developers"}},
	{Name: "bob", Groups: []string{"deployers"}},
	{Name: "carol", Groups: []string{"viewers"}},
	{
		Name:     "sluice",
		Username: "system:serviceaccount:sluice-system:sluice",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:sluice-system"},
	},
	{Name: controllerManager, Username: "system:kube-controller-manager"},
	{Name: scheduler, Username: "system:kube-scheduler"},
	{Name: kwok, Groups: []string{"system:masters"}}, // in a kubelet's place
}

// accounts gives every user a token.
func accounts(users []User) []account {
	accounts := make([]account, 0, len(users))
	for _, user := range users {
		if user.Username == "" {
			user.Username = user.Name
		}
		accounts = append(accounts, account{user, rand.Text()})
	}
	return accounts
}

// account returns a user by name. A name that no user has is a mistake in the
// test that asks.
func (c *Cluster) account(name string) account {
	var names []string
	for _, a := range c.state.Users {
		if a.Name == name {
			return a
		}
		names = append(names, a.Name)
	}
	panic(fmt.Sprintf("the cluster has no user %q; it has %s", name, strings.Join(names, ", ")))
}

// writeUsers writes the API server's token file and a kubeconfig per user.
func (c *Cluster) writeUsers() error {
	var tokens strings.Builder
	for i, a := range c.state.Users {
		fmt.Fprintf(&tokens, "%s,%s,%d,%q\n", a.Token, a.Username, i, strings.Join(a.Groups, ","))
		if _, err := c.WriteKubeconfig(a.Name, a.Token); err != nil {
			return err
		}
	}
	if err := os.WriteFile(c.path("tokens.csv"), []byte(tokens.String()), 0o600); err != nil {
		return fmt.Errorf("writing the users' tokens: %w", err)
	}
	return nil
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: %s
    certificate-authority: %q
users:
- name: %[3]s
  user:
    token: %s
contexts:
- name: %[3]s
  context:
    cluster: cluster
    user: %[3]s
current-context: %[3]s
`

// WriteKubeconfig writes a kubeconfig that authenticates by token, for example
// one from "kubectl create token", and returns its path. Kubeconfig(name)
// names the same file.
func (c *Cluster) WriteKubeconfig(name, token string) (string, error) {
	file := c.path("kubeconfig", name)
	content := fmt.Sprintf(kubeconfig, c.URL(), c.CAFile(), name, token)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of %s: %w", name, err)
	}
	return file, nil
}
