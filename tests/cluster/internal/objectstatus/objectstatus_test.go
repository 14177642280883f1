package objectstatus

import (
	"bytes"
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	const (
		current     = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","generation":1},"status":{"phase":"Succeeded"}}`
		behind      = `{"apiVersion":"x/v1","kind":"Thing","metadata":{"name":"b","generation":2},"status":{"observedGeneration":1}}`
		terminating = `{"apiVersion":"x/v1","kind":"Thing","metadata":{"name":"c","deletionTimestamp":"2020-01-01T00:00:00Z"}}`
	)
	for name, test := range map[string]struct{ in, want string }{
		"one":    {current, "Current"},
		"array":  {"[" + current + "," + behind + "]", "Current InProgress"},
		"list":   {`{"apiVersion":"v1","kind":"List","items":[` + behind + "," + terminating + "]}", "InProgress Terminating"},
		"stream": {current + "\n" + terminating, "Current Terminating"},
		"none":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Print(strings.NewReader(test.in), &out); err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				_, rest, _ := strings.Cut(line, `{"status":"`)
				status, _, _ := strings.Cut(rest, `"`)
				got = append(got, status)
			}
			if joined := strings.Join(got, " "); joined != test.want {
				t.Errorf("got %q, want %q", joined, test.want)
			}
		})
	}
	if err := Print(strings.NewReader("{"), &bytes.Buffer{}); err == nil {
		t.Error("half an object was accepted")
	}
}
