package node

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

// interfaceName carries the node's address. A bridge without ports stands in
// for a dummy interface, which not every kernel has.
const interfaceName = "drover0"

// SetUpNetwork prepares the network namespace of the calling process.
func SetUpNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	if err := addNodeAddress(); err != nil {
		return err
	}
	return enableForwarding()
}

func addNodeAddress() error {
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: interfaceName}}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("add interface %s: %w", interfaceName, err)
	}
	address, err := netlink.ParseAddr(Address + "/32")
	if err != nil {
		return fmt.Errorf("parse node address: %w", err)
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("add node address: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring interface %s up: %w", interfaceName, err)
	}
	// Cluster IPs are rewritten only after a route was found for them. There is
	// no other route: whatever lies outside is unreachable at once.
	_, services, err := net.ParseCIDR(ServiceSubnet)
	if err != nil {
		return fmt.Errorf("parse service subnet: %w", err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: services, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add route to services: %w", err)
	}
	return nil
}

// enableForwarding tolerates a read-only /proc/sys that already says yes.
func enableForwarding() error {
	const setting = "/proc/sys/net/ipv4/ip_forward"
	err := os.WriteFile(setting, []byte("1"), 0o644)
	if err == nil {
		return nil
	}
	if current, readErr := os.ReadFile(setting); readErr == nil && strings.TrimSpace(string(current)) == "1" {
		return nil
	}
	return fmt.Errorf("enable forwarding between pods: %w", err)
}
