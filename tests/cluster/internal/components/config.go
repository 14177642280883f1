package components

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	"drover.dev/tests/cluster/internal/node"
)

//go:embed config
var configFiles embed.FS

// CNIPlugins is where distributions put the CNI plugins.
const CNIPlugins = "/usr/lib/cni"

// PauseImage holds a pod's namespaces open.
const PauseImage = "drover.local/pause:1"

// Variables are what differs from cluster to cluster, or from host to host.
type Variables struct {
	// CgroupName is the group below which all pods' groups lie.
	CgroupName string
	// Snapshotter is containerd's way to stack image layers.
	Snapshotter string
}

// configDestinations maps the embedded templates to files on the node.
var configDestinations = map[string]string{
	"kubelet.yaml":    node.Config + "/kubelet.yaml",
	"kube-proxy.yaml": node.Config + "/kube-proxy.yaml",
	"containerd.toml": node.Config + "/containerd.toml",
	"cni.conflist":    node.CNIConfig + "/10-drover.conflist",
	"Corefile":        node.Config + "/Corefile",
	"resolv.conf":     node.Config + "/resolv.conf",
}

// RenderConfig returns the components' configuration files by path on the node.
func RenderConfig(variables Variables) (map[string][]byte, error) {
	templates, err := template.New("").Option("missingkey=error").ParseFS(configFiles, "config/*")
	if err != nil {
		return nil, fmt.Errorf("parse configuration templates: %w", err)
	}
	values := map[string]string{
		"Address":          node.Address,
		"CNIConfig":        node.CNIConfig,
		"CNIPlugins":       CNIPlugins,
		"CgroupName":       variables.CgroupName,
		"ClusterDomain":    node.ClusterDomain,
		"Config":           node.Config,
		"ContainerdDir":    node.ContainerdDir,
		"ContainerdSocket": node.ContainerdSocket,
		"KubeletRoot":      node.KubeletRoot,
		"PKI":              node.PKI,
		"PauseImage":       PauseImage,
		"PodSubnet":        node.PodSubnet,
		"Snapshotter":      variables.Snapshotter,
	}
	rendered := make(map[string][]byte, len(configDestinations))
	for name, destination := range configDestinations {
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, values); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		rendered[destination] = out.Bytes()
	}
	return rendered, nil
}
