// Package node describes the single node from the inside, and sets its mounts
// and its network up.
//
// The node lives in its own mount, PID and network namespaces. There /var and
// /run are its own, so all paths below are the same in every cluster, clusters
// side by side cannot meet, and nothing is left on the host when they end.
package node

import "path/filepath"

// Name is the node's name, and what the kubelet registers as.
const Name = "drover"

// Addresses inside the node's network namespace.
const (
	// Address is the node's own. It may not be loopback: it is what the
	// endpoints of the Service kubernetes point at.
	Address = "10.87.0.1"
	// PodSubnet has room for the 500 pods that the kubelet allows.
	PodSubnet = "10.88.0.0/22"
	// ServiceSubnet is where cluster IPs come from.
	ServiceSubnet = "10.96.0.0/16"
	// APIServiceAddress is the first of ServiceSubnet: kubernetes.default.svc.
	APIServiceAddress = "10.96.0.1"
	// ClusterDomain ends the names of Services.
	ClusterDomain = "cluster.local"
	// APIAddress is where the node's own components reach the API server.
	APIAddress = "127.0.0.1:6443"
)

// Folders on the node.
const (
	Home          = "/var/lib/drover"
	PKI           = Home + "/pki"
	Config        = Home + "/config"
	CNIConfig     = Config + "/cni"
	Volumes       = Home + "/volumes"
	EtcdData      = "/var/lib/etcd"
	KubeletRoot   = "/var/lib/kubelet"
	ContainerdDir = "/var/lib/containerd"
	Logs          = "/var/log/drover"
)

// Sockets below /run, which is a file system of the node's own. The host
// reaches them through /proc/PID/root, and no path gets too long for a socket.
const (
	ContainerdSocket = "/run/containerd/containerd.sock"
	ControlSocket    = "/run/drover.sock"
)

// LogFile is where a component's output goes.
func LogFile(component string) string {
	return filepath.Join(Logs, component+".log")
}

// KubeconfigFile is the kubeconfig of one component.
func KubeconfigFile(component string) string {
	return filepath.Join(Config, component+".kubeconfig")
}

// Folders lists everything that must exist below /var before the node starts.
func Folders() []string {
	return []string{
		PKI, Config, CNIConfig, Volumes, EtcdData, KubeletRoot, ContainerdDir,
		Logs, "/var/tmp", "/var/cache",
	}
}
