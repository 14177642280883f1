package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
)

const reportPath = "/components"

// Report is what the supervisor knows of one component.
type Report struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	// PID is zero if the component is not running. The supervisor gives it as
	// seen on the node.
	PID int `json:"pid"`
	// Exits counts how often the component ended and was started again.
	Exits    int    `json:"exits"`
	LastExit string `json:"lastExit,omitempty"`
	Problem  string `json:"problem,omitempty"`
}

func reportHandler(units []*unit) http.HandlerFunc {
	return func(response http.ResponseWriter, _ *http.Request) {
		reports := make([]Report, len(units))
		var probes sync.WaitGroup
		for i, u := range units {
			probes.Go(func() { reports[i] = u.report() })
		}
		probes.Wait()
		response.Header().Set("Content-Type", "application/json")
		// The only error here is a client that went away.
		_ = json.NewEncoder(response).Encode(reports)
	}
}

// Client asks a supervisor through its control socket.
type Client struct{ http http.Client }

// NewClient takes the control socket's path as the caller sees it.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Components returns a report on each component, fresh from its probe.
func (c *Client) Components(ctx context.Context) ([]Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://supervisor"+reportPath, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the supervisor: %w", err)
	}
	return decode(response)
}

func decode(response *http.Response) ([]Report, error) {
	defer response.Body.Close()
	var reports []Report
	if err := json.NewDecoder(response.Body).Decode(&reports); err != nil {
		return nil, fmt.Errorf("read the supervisor's answer: %w", err)
	}
	return reports, nil
}
