// Package multicall holds the Kubernetes programs that are linked into this
// binary. Each runs in a process of its own, started as
// `drover-cluster PROGRAM ARGS…`.
package multicall

import (
	"context"
	"os"
	"slices"

	"github.com/coredns/coredns/coremain"
	"github.com/spf13/cobra"
	etcd "go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kubecontrollermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubescheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"drover.dev/tests/cluster/internal/components"

	// Metrics and log formats register themselves, as in the upstream mains.
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"

	// CoreDNS is a set of plugins; these are all that a cluster's DNS needs.
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

// Kubectl is the one program here that is not a component of the cluster.
const Kubectl = "kubectl"

// IsComponent reports whether the cluster runs the linked program of this name.
func IsComponent(name string) bool {
	return slices.Contains([]string{
		components.Etcd, components.KubeAPIServer, components.KubeControllerManager,
		components.KubeScheduler, components.KubeProxy, components.Kubelet, components.CoreDNS,
	}, name)
}

// Run runs one program to its end and returns its exit code. The upstream
// programs read os.Args themselves, so it is set as if they were called by
// their own names. Commands are constructed only when asked for: constructing
// one registers flags and feature gates for the whole process.
func Run(name string, args []string) int {
	os.Args = append([]string{name}, args...)
	switch name {
	case components.Etcd:
		etcd.Main(os.Args)
		return 0
	case components.CoreDNS:
		coremain.Run()
		return 0
	case Kubectl:
		return runKubectl()
	}
	return cli.Run(serverCommand(name))
}

func serverCommand(name string) *cobra.Command {
	switch name {
	case components.KubeAPIServer:
		return kubeapiserver.NewAPIServerCommand()
	case components.KubeControllerManager:
		return kubecontrollermanager.NewControllerManagerCommand()
	case components.KubeScheduler:
		return kubescheduler.NewSchedulerCommand()
	case components.KubeProxy:
		return kubeproxy.NewProxyCommand()
	case components.Kubelet:
		return kubelet.NewKubeletCommand(context.Background())
	default:
		panic("multicall: no program named " + name)
	}
}
