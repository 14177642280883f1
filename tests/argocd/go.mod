// The health check that the chart has for Argo CD, run by the interpreter that Argo CD has.
module drover.dev/tests/argocd

go 1.25.0

require (
	github.com/yuin/gopher-lua v1.1.1
	gopkg.in/yaml.v3 v3.0.1
)
