package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mode says how much of a cluster runs.
type Mode string

const (
	// Full is a node on which pods run.
	Full Mode = "full"
	// APIOnly is an API server with the few controllers that objects need.
	APIOnly Mode = "api-only"
)

// Settings are chosen when a cluster first comes up and kept until it goes.
type Settings struct {
	Mode Mode `json:"mode"`
	// Port on the host's loopback at which the API is served.
	Port int `json:"port"`
}

// LoadSettings returns nil if none were saved.
func (d Dir) LoadSettings() (*Settings, error) {
	data, err := os.ReadFile(filepath.Join(d.root, settingsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	var settings Settings
	if err := json.Unmarshal(data, &settings); err != nil {
		return nil, fmt.Errorf("parse %s: %w", settingsName, err)
	}
	return &settings, nil
}

// SaveSettings replaces the file in one step, so a killed `up` leaves no half of it.
func (d Dir) SaveSettings(settings Settings) error {
	data, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	return d.writeAtomically(settingsName, append(data, '\n'), 0o644)
}

// SaveKubeconfig writes the administrator's kubeconfig.
func (d Dir) SaveKubeconfig(data []byte) error {
	return d.writeAtomically(kubeconfigName, data, 0o600)
}

func (d Dir) writeAtomically(name string, data []byte, mode fs.FileMode) error {
	// The draft lies below var, so that Clear finds it after a crash.
	draft := filepath.Join(d.Var(), name+".draft")
	if err := os.MkdirAll(d.Var(), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(draft, data, mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(draft, filepath.Join(d.root, name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
