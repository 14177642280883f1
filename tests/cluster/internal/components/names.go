package components

// Names of the programs that run on the node. Those of upstream are also what
// this binary calls them when it plays them.
const (
	Etcd                  = "etcd"
	Containerd            = "containerd"
	KubeAPIServer         = "kube-apiserver"
	KubeControllerManager = "kube-controller-manager"
	KubeScheduler         = "kube-scheduler"
	Kubelet               = "kubelet"
	KubeProxy             = "kube-proxy"
	CoreDNS               = "coredns"
	Provisioner           = "provisioner"
)
