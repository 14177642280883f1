package components

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"drover.dev/tests/cluster/internal/node"
	"drover.dev/tests/cluster/internal/state"
)

func TestRenderedConfigParses(t *testing.T) {
	files, err := RenderConfig(Variables{CgroupName: "drover-1234", Snapshotter: "native"})
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range files {
		if strings.Contains(string(data), "{{") || strings.Contains(string(data), "<no value>") {
			t.Errorf("%s has a gap:\n%s", path, data)
		}
		if strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".conflist") {
			var parsed map[string]any
			if err := yaml.Unmarshal(data, &parsed); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if !json.Valid(files[node.CNIConfig+"/10-drover.conflist"]) {
		t.Error("the CNI configuration is not JSON")
	}
	var kubelet struct {
		CgroupRoot string   `json:"cgroupRoot"`
		ClusterDNS []string `json:"clusterDNS"`
	}
	if err := yaml.Unmarshal(files[node.Config+"/kubelet.yaml"], &kubelet); err != nil {
		t.Fatal(err)
	}
	if kubelet.CgroupRoot != "/drover-1234" || !slices.Equal(kubelet.ClusterDNS, []string{node.Address}) {
		t.Errorf("kubelet: %+v", kubelet)
	}
	if !strings.Contains(string(files[node.Config+"/containerd.toml"]), `snapshotter = "native"`) {
		t.Error("containerd does not get its snapshotter")
	}
}

func TestEveryTemplateHasADestination(t *testing.T) {
	entries, err := configFiles.ReadDir("config")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if configDestinations[entry.Name()] == "" {
			t.Errorf("%s goes nowhere", entry.Name())
		}
	}
}

// A need that is not there, or that comes back to itself, would wait for ever.
func TestNeedsAreMetInOrder(t *testing.T) {
	for _, mode := range []state.Mode{state.Full, state.APIOnly} {
		var before []string
		for _, component := range ForMode(mode) {
			for _, need := range component.Needs {
				if !slices.Contains(before, need) {
					t.Errorf("%s: %s needs %s, which is not before it", mode, component.Name, need)
				}
			}
			if component.Probe == nil {
				t.Errorf("%s: %s has no probe", mode, component.Name)
			}
			before = append(before, component.Name)
		}
	}
}
