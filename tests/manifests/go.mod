// Judges of what is applied to a cluster: Argo CD's scripts in Argo CD's own Lua engine, and the chart as Helm renders it.
module chainlink-operator/tests/manifests

go 1.26.0

require (
	github.com/yuin/gopher-lua v1.1.2
	sigs.k8s.io/yaml v1.6.0
)

require go.yaml.in/yaml/v2 v2.4.2 // indirect
