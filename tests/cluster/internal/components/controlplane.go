package components

import "drover.dev/tests/cluster/internal/node"

// Issuer is what the API server puts into service account tokens.
const Issuer = "https://kubernetes.default.svc." + node.ClusterDomain

// apiOnlyControllers keeps objects consistent where nothing runs pods. Names of
// the controllers are upstream's.
const apiOnlyControllers = "garbage-collector-controller," +
	"namespace-controller," +
	"serviceaccount-controller," +
	"serviceaccount-token-controller," +
	"resourcequota-controller"

func etcdArgs() []string {
	return []string{
		"--name=" + node.Name,
		"--data-dir=" + node.EtcdData,
		"--listen-client-urls=http://127.0.0.1:2379",
		"--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--listen-metrics-urls=http://127.0.0.1:2381",
		"--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=" + node.Name + "=http://127.0.0.1:2380",
		// The only member elects itself when this time is over.
		"--heartbeat-interval=20", "--election-timeout=100",
		"--logger=zap", "--log-level=warn",
		// A cluster that dies is made anew, so nothing has to survive a crash;
		// this halves the time of a write.
		"--unsafe-no-fsync",
	}
}

func apiServerArgs() []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0",
		"--secure-port=6443",
		"--advertise-address=" + node.Address,
		"--service-cluster-ip-range=" + node.ServiceSubnet,
		"--tls-cert-file=" + node.PKI + "/apiserver.crt",
		"--tls-private-key-file=" + node.PKI + "/apiserver.key",
		"--client-ca-file=" + node.PKI + "/ca.crt",
		"--kubelet-certificate-authority=" + node.PKI + "/ca.crt",
		"--kubelet-client-certificate=" + node.PKI + "/apiserver-kubelet-client.crt",
		"--kubelet-client-key=" + node.PKI + "/apiserver-kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=" + Issuer,
		"--service-account-key-file=" + node.PKI + "/service-account.pub",
		"--service-account-signing-key-file=" + node.PKI + "/service-account.key",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--max-requests-inflight=1600",
		"--max-mutating-requests-inflight=800",
		"--profiling=false",
	}
}

func controllerManagerArgs(controllers string) []string {
	return []string{
		"--kubeconfig=" + node.KubeconfigFile(KubeControllerManager),
		"--bind-address=127.0.0.1",
		"--controllers=" + controllers,
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + node.PKI + "/service-account.key",
		"--root-ca-file=" + node.PKI + "/ca.crt",
		"--cluster-signing-cert-file=" + node.PKI + "/ca.crt",
		"--cluster-signing-key-file=" + node.PKI + "/ca.key",
		"--flex-volume-plugin-dir=" + node.KubeletRoot + "/volume-plugins",
		"--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--profiling=false",
	}
}
