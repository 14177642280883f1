// Package argocd tests what Argo CD makes of a Session, by the health check that the chart has for it.
package argocd

import (
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"gopkg.in/yaml.v3"
)

const (
	patch = "../../charts/drover/files/argocd/health.yaml"
	// The key under which Argo CD looks for the check of a kind: its group and its name.
	key = "resource.customizations.health.drover.dev_Session"
)

// script reads the check out of the patch, which has nothing else in it.
func script(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]map[string]string
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if len(document) != 1 || len(document["data"]) != 1 || document["data"][key] == "" {
		t.Fatalf("the patch is to have the key %s alone: %v", key, document)
	}
	return document["data"][key]
}

// table makes of a value what Argo CD hands to a check.
func table(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		fields := state.NewTable()
		for name, field := range value {
			fields.RawSetString(name, table(state, field))
		}
		return fields
	case []any:
		list := state.NewTable()
		for _, element := range value {
			list.Append(table(state, element))
		}
		return list
	case string:
		return lua.LString(value)
	case int:
		return lua.LNumber(value)
	default:
		return lua.LNil
	}
}

// health runs the check over a Session, with the libraries that Argo CD allows.
func health(t *testing.T, script, session string) (status, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenTable} {
		state.Push(state.NewFunction(open))
		if err := state.PCall(0, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	var object map[string]any
	if err := yaml.Unmarshal([]byte(session), &object); err != nil {
		t.Fatal(err)
	}
	state.SetGlobal("obj", table(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the check answers %v", state.Get(-1))
	}
	return answer.RawGetString("status").String(), answer.RawGetString("message").String()
}

func TestHealth(t *testing.T) {
	const unseen = "Drover has not looked at this generation yet"
	for name, row := range map[string]struct{ session, status, message string }{
		"created a moment ago": {`metadata: {generation: 1}`, "Progressing", unseen},
		"not seen yet":         {`{metadata: {generation: 1}, status: {observedGeneration: -1}}`, "Progressing", unseen},
		"changed since": {
			`{metadata: {generation: 2}, status: {observedGeneration: 1, phase: Running}}`, "Progressing", unseen,
		},
		"starting":            {seen("Pending", ""), "Healthy", "why"},
		"running":             {seen("Running", ""), "Healthy", "why"},
		"waiting":             {seen("Waiting", ""), "Healthy", "why"},
		"suspended":           {seen("Suspended", ""), "Suspended", "why"},
		"succeeded":           {seen("Succeeded", "{type: Complete, status: 'True'}"), "Healthy", "why"},
		"cancelled":           {seen("Cancelled", "{type: Complete, status: 'True'}"), "Healthy", "why"},
		"failed":              {seen("Failed", "{type: Complete, status: 'True'}, {type: Stalled, status: 'True'}"), "Degraded", "why"},
		"not accepted":        {seen("Pending", "{type: Accepted, status: 'False'}, {type: Stalled, status: 'True'}"), "Degraded", "why"},
		"registry is away":    {seen("Pending", "{type: Reconciling, status: 'True'}"), "Progressing", "why"},
		"conditions are over": {seen("Running", "{type: Stalled, status: 'False'}, {type: Reconciling, status: 'False'}"), "Healthy", "why"},
		"no message": {
			`{metadata: {generation: 1}, status: {observedGeneration: 1, phase: Running, reason: AgentRunning}}`,
			"Healthy", "AgentRunning",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, message := health(t, script(t), row.session)
			if status != row.status || message != row.message {
				t.Errorf("%s is %s: %q, and should be %s: %q", row.session, status, message, row.status, row.message)
			}
		})
	}
}

// seen is a Session whose status speaks of its present generation.
func seen(phase, conditions string) string {
	return "{metadata: {generation: 3}, status: {observedGeneration: 3, phase: " + phase +
		", reason: Word, message: why, conditions: [" + conditions + "]}}"
}
