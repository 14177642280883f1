package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"drover.dev/tests/cluster/internal/components"
	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/pki"
)

// users maps each component that talks to the API to who it is there. RBAC and
// the Node authorizer know the upstream names.
var users = map[string]struct{ name, group string }{
	components.KubeControllerManager: {"system:kube-controller-manager", ""},
	components.KubeScheduler:         {"system:kube-scheduler", ""},
	components.KubeProxy:             {"system:kube-proxy", ""},
	components.Kubelet:               {"system:node:" + node.Name, "system:nodes"},
	components.CoreDNS:               {coreDNSUser, ""},
	components.Provisioner:           {provisionerUser, ""},
}

const (
	coreDNSUser     = "drover:coredns"
	provisionerUser = "drover:provisioner"
)

// writeCredentials makes the authority, all certificates and all kubeconfigs.
func (c *Cluster) writeCredentials(port int) error {
	authority, err := pki.NewAuthority("drover-cluster")
	if err != nil {
		return err
	}
	if err := c.writeCertificates(authority); err != nil {
		return err
	}
	for component, user := range users {
		config, err := kubeconfig(authority, "https://"+node.APIAddress, user.name, user.group)
		if err != nil {
			return err
		}
		if err := c.writeOnNode(node.KubeconfigFile(component), config); err != nil {
			return err
		}
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", port)
	admin, err := kubeconfig(authority, server, "drover:admin", "system:masters")
	if err != nil {
		return err
	}
	return c.dir.SaveKubeconfig(admin)
}

func kubeconfig(authority *pki.Authority, server, user, group string) ([]byte, error) {
	var groups []string
	if group != "" {
		groups = append(groups, group)
	}
	pair, err := authority.Client(user, groups...)
	if err != nil {
		return nil, err
	}
	return pki.Kubeconfig(server, authority.Certificate, pair)
}

func (c *Cluster) writeCertificates(authority *pki.Authority) error {
	api, err := authority.Server("kube-apiserver",
		"127.0.0.1", node.Address, node.APIServiceAddress, "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc."+node.ClusterDomain)
	if err != nil {
		return err
	}
	kubeletServer, err := authority.Server("system:node:"+node.Name, node.Address, node.Name)
	if err != nil {
		return err
	}
	kubeletClient, err := authority.Client("drover:kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	private, public, err := pki.NewSigningKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"ca.crt":                       authority.Certificate,
		"ca.key":                       authority.Key,
		"apiserver.crt":                api.Certificate,
		"apiserver.key":                api.Key,
		"kubelet-server.crt":           kubeletServer.Certificate,
		"kubelet-server.key":           kubeletServer.Key,
		"apiserver-kubelet-client.crt": kubeletClient.Certificate,
		"apiserver-kubelet-client.key": kubeletClient.Key,
		"service-account.key":          private,
		"service-account.pub":          public,
	}
	for name, data := range files {
		if err := c.writeOnNode(filepath.Join(node.PKI, name), data); err != nil {
			return err
		}
	}
	return nil
}

// writeOnNode writes a file by its path on the node.
func (c *Cluster) writeOnNode(path string, data []byte) error {
	if err := os.WriteFile(c.dir.OnHost(path), data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
