// Package components defines the programs of a cluster: how each is started,
// what it waits for, and how to tell that it works.
package components

import (
	"context"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
)

// Component is one long-running process on the node.
type Component struct {
	Name string
	// Program is an executable of the host's; empty means this binary, which
	// is then called with the component's name as its first argument.
	Program string
	Args    []string
	// Needs names the components that must work before this one starts.
	Needs []string
	// Probe returns nil if the component does its work.
	Probe func(context.Context) error
}

// ForMode lists the components of a cluster.
func ForMode(mode state.Mode) []Component {
	if mode == state.APIOnly {
		return []Component{etcd(), apiServer(), controllerManager(apiOnlyControllers)}
	}
	return []Component{
		etcd(), containerd(), apiServer(), controllerManager("*"), scheduler(),
		kubelet(), proxy(), dns(), provisioner(),
	}
}

func etcd() Component {
	return Component{
		Name:  Etcd,
		Args:  etcdArgs(),
		Probe: httpProbe("http://127.0.0.1:2379/health"),
	}
}

func containerd() Component {
	return Component{
		Name:    Containerd,
		Program: "containerd",
		Args:    []string{"--config", node.Config + "/containerd.toml"},
		Probe:   socketProbe(node.ContainerdSocket),
	}
}

func apiServer() Component {
	return Component{
		Name:  KubeAPIServer,
		Args:  apiServerArgs(),
		Needs: []string{Etcd},
		Probe: httpProbe("https://" + node.APIAddress + "/readyz"),
	}
}

func controllerManager(controllers string) Component {
	return Component{
		Name:  KubeControllerManager,
		Args:  controllerManagerArgs(controllers),
		Needs: []string{KubeAPIServer},
		Probe: httpProbe("https://127.0.0.1:10257/healthz"),
	}
}

func scheduler() Component {
	return Component{
		Name: KubeScheduler,
		Args: []string{
			"--kubeconfig=" + node.KubeconfigFile(KubeScheduler),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--kube-api-qps=500", "--kube-api-burst=1000",
		},
		Needs: []string{KubeAPIServer},
		Probe: httpProbe("https://127.0.0.1:10259/readyz"),
	}
}

func kubelet() Component {
	return Component{
		Name: Kubelet,
		Args: []string{
			"--config=" + node.Config + "/kubelet.yaml",
			"--kubeconfig=" + node.KubeconfigFile(Kubelet),
			"--root-dir=" + node.KubeletRoot,
			"--cert-dir=" + node.PKI,
			"--hostname-override=" + node.Name,
			"--node-ip=" + node.Address,
		},
		Needs: []string{KubeAPIServer, Containerd},
		Probe: httpProbe("http://127.0.0.1:10248/healthz"),
	}
}

func proxy() Component {
	return Component{
		Name: KubeProxy,
		Args: []string{
			"--config=" + node.Config + "/kube-proxy.yaml",
			"--hostname-override=" + node.Name,
		},
		Needs: []string{KubeAPIServer},
		Probe: httpProbe("http://127.0.0.1:10256/livez"),
	}
}

func dns() Component {
	return Component{
		Name:  CoreDNS,
		Args:  []string{"-conf", node.Config + "/Corefile"},
		Needs: []string{KubeAPIServer},
		Probe: nameProbe(node.Address+":53", "kubernetes.default.svc."+node.ClusterDomain+"."),
	}
}

func provisioner() Component {
	return Component{
		Name:  Provisioner,
		Args:  []string{"--kubeconfig=" + node.KubeconfigFile(Provisioner)},
		Needs: []string{KubeAPIServer},
		Probe: running,
	}
}
