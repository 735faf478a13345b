package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"sigs.k8s.io/yaml"
)

func TestEachNamespaceOfNodesHasItsNetworkPolicy(t *testing.T) {
	policy := func(all map[string]object, path ...any) any {
		return at(all["NetworkPolicy operators-test-chainlink-operator-nodes"], append([]any{"spec"}, path...)...)
	}
	all := defaults(t, "--set", "nodeNetworkPolicy.enabled=true,nodeNetworkPolicy.namespaces={oracles}")
	expect(t, "its pods", policy(all, "podSelector", "matchLabels"), object{"app.kubernetes.io/name": "chainlink-node"})
	expect(t, "both ways", policy(all, "policyTypes"), []any{"Ingress", "Egress"})
	from := policy(all, "ingress", 0, "from", 0)
	operator := at(all["Deployment test-chainlink-operator"], "spec", "template", "metadata", "labels")
	expect(t, "the operator's namespace", at(from, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"), "operators")
	if !chooses(at(from, "podSelector", "matchLabels"), operator) {
		t.Errorf("the operator, %v, is kept out by %v", operator, from)
	}
	expect(t, "what may come in", ports(policy(all, "ingress")), []any{6688.0, 6690.0})
	expect(t, "peers, from anywhere", policy(all, "ingress", 1, "from"), nil)
	expect(t, "what may go out", ports(policy(all, "egress")), []any{53.0, 53.0, 5432.0})
	outside := policy(all, "egress", 2, "to", 0, "ipBlock", "except").([]any)
	if !slices.Contains(outside, any("169.254.0.0/16")) || !slices.Contains(outside, any("10.0.0.0/8")) {
		t.Errorf("they reach what is inside: %v", outside)
	}
	expect(t, "where no peers are", ports(policy(defaults(t, "--set", "nodeNetworkPolicy.enabled=true,nodeNetworkPolicy.namespaces={oracles},nodeNetworkPolicy.p2pPorts=null"), "ingress")), []any{6688.0})

	all = everything(t)
	spec := at(all["NetworkPolicy operators-nodes-operator-nodes"], "spec")
	expect(t, "the watched namespace", at(all["NetworkPolicy operators-nodes-operator-nodes"], "metadata", "namespace"), "oracles")
	expect(t, "the API is open to", at(spec, "ingress", 1, "from", 0, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"), "ingress-nginx")
	expect(t, "on", ports(at(spec, "ingress")), []any{6688.0, 6688.0, 6689.0, 7000.0})
	expect(t, "what may go out", ports(at(spec, "egress")), []any{53.0, 53.0, 6432.0, 8545.0})

	said, err := helm(t, "template", "--values", folder+"/ci/defaults.yaml", "--set", "nodeNetworkPolicy.enabled=true")
	if err == nil || !strings.Contains(said, "nodeNetworkPolicy.namespaces") {
		t.Errorf("without namespaces it says: %s", said)
	}
}

func TestWithoutClusterWideRightsNothingIsClusterWide(t *testing.T) {
	confined := []string{"--set", "clusterWideRights=false,watchNamespaces={oracles}"}
	for name, one := range defaults(t, confined...) {
		if at(one, "metadata", "namespace") == nil {
			t.Errorf("%s is in no namespace", name)
		}
	}
	env, _ := at(defaults(t, confined...)["Deployment test-chainlink-operator"], "spec", "template", "spec", "containers", 0, "env").([]any)
	if !slices.ContainsFunc(env, func(one any) bool { return at(one, "name") == "WATCH_MACHINES" && at(one, "value") == "false" }) {
		t.Errorf("the operator is to read machines: %v", env)
	}
	for set, words := range map[string]string{
		"clusterWideRights=false": "clusterWideRights=false needs watchNamespaces",
		"clusterWideRights=false,watchNamespaces={oracles},machineMaintenance=always":                            "machineMaintenance=always needs",
		"clusterWideRights=false,watchNamespaces={oracles},rbac.onCallRole=true":                                 "rbac.onCallRole=true needs",
		"clusterWideRights=false,watchNamespaces={oracles},nodeLimits.enabled=true":                              "nodeLimits.enabled=true needs",
		"clusterWideRights=false,crds.install=false,deletionProtection=false,rbac.aggregateToDefaultRoles=false": "clusterWideRights=false needs watchNamespaces",
	} {
		said, err := helm(t, "template", "--values", folder+"/ci/defaults.yaml", "--set", set)
		if err == nil || !strings.Contains(said, words) {
			t.Errorf("with %s it says: %s", set, said)
		}
	}
}

// `helm upgrade --reuse-values` brings the values of the earlier chart, and none that it did not know.
func TestValuesOfTheChartBeforeStillDo(t *testing.T) {
	without := []string{"--set", "clusterWideRights=null,nodeNetworkPolicy=null,nodeLimits=null"}
	names := func(all map[string]object) []string { return slices.Sorted(maps.Keys(all)) }
	expect(t, "what is rendered", names(defaults(t, without...)), names(defaults(t)))
	confined := append(without, "--values", folder+"/ci/two-namespaces.yaml", "--set", "crds.install=true")
	if defaults(t, confined...)["CustomResourceDefinition chainlinknodes.chainlink-operator.dev"] == nil {
		t.Error("the CRD is left out")
	}
	said, err := helm(t, "install", append([]string{"--dry-run=client", "--values", folder + "/ci/defaults.yaml"}, without...)...)
	if strings.Contains(said, "Kubernetes cluster unreachable") {
		t.Skip("Helm 3 shows the notes of what it would install only beside a cluster")
	}
	if err != nil || strings.Contains(said, "clusterWideRights") {
		t.Error(said)
	}
}

// The names of these values and of those within them, such as metrics and metrics.service; of maps alone, if asked.
func valueNames(values any, mapsAlone bool) []string {
	names := []string{}
	fields, _ := values.(object)
	for name, value := range fields {
		within := valueNames(value, mapsAlone)
		if _, isMap := value.(object); isMap || !mapsAlone {
			names = append(names, name)
		}
		for _, one := range within {
			names = append(names, name+"."+one)
		}
	}
	slices.Sort(names)
	return names
}

func chartValues(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile(folder + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values object
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// Which of them an earlier chart lacked, --reuse-values tells: the chart does without, or Helm names what is missing.
func TestValuesThatAreMissingAreNamedWhereTheChartNeedsThem(t *testing.T) {
	missing := 0
	for _, name := range valueNames(chartValues(t), true) {
		said, err := helm(t, "template", "--values", folder+"/ci/everything-set.yaml", "--set", name+"=null")
		if strings.Contains(said, "nil pointer") || strings.Contains(said, "wrong type for value") {
			t.Errorf("without %s it says: %s", name, said)
		}
		if err != nil {
			missing++
		}
	}
	if missing < 10 {
		t.Errorf("only %d times something was missed", missing)
	}
}

// Who upgrades has written these names into his values.
func TestNoValueIsRenamedOrTakenAway(t *testing.T) {
	text, err := os.ReadFile("testdata/values.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(text))
	now := valueNames(chartValues(t), false)
	for _, name := range known {
		if !slices.Contains(now, name) {
			t.Errorf("%s was a value of the chart, and is none any more: whoever has set it could not upgrade", name)
		}
	}
	for _, name := range now {
		if !slices.Contains(known, name) {
			t.Errorf("%s is new: add it to testdata/values.txt", name)
		}
	}
}

// A policy of the chart, whose expressions are evaluated as the API server does.
type policy struct {
	environment *cel.Env
	spec        any
}

func policyOf(t *testing.T, all map[string]object, name string) policy {
	t.Helper()
	environment, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings(), cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType), cel.Variable("variables", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	one := all["ValidatingAdmissionPolicy "+name]
	binding := all["ValidatingAdmissionPolicyBinding "+name]
	expect(t, "the policy that is bound", at(binding, "spec", "policyName"), name)
	expect(t, "what it does", at(binding, "spec", "validationActions"), []any{"Deny"})
	return policy{environment, one["spec"]}
}

func (p policy) value(t *testing.T, expression any, input map[string]any) any {
	t.Helper()
	tree, issues := p.environment.Compile(expression.(string))
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := p.environment.Program(tree)
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := program.Eval(input)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return made.Value()
}

// What it says against a change of a spec; nothing where it takes it. A spec that was not there is nil.
func (p policy) against(t *testing.T, before, after map[string]any) string {
	t.Helper()
	input := map[string]any{"object": object{"spec": after}, "oldObject": nil, "variables": map[string]any{}}
	if before != nil {
		input["oldObject"] = object{"spec": before}
	}
	for _, condition := range at(p.spec, "matchConditions").([]any) {
		if p.value(t, at(condition, "expression"), input) != true {
			return ""
		}
	}
	variables := map[string]any{}
	input["variables"] = variables
	for _, variable := range at(p.spec, "variables").([]any) {
		variables[at(variable, "name").(string)] = p.value(t, at(variable, "expression"), input)
	}
	for _, validation := range at(p.spec, "validations").([]any) {
		if p.value(t, at(validation, "expression"), input) == true {
			continue
		}
		if expression := at(validation, "messageExpression"); expression != nil {
			return fmt.Sprint(p.value(t, expression, input))
		}
		return at(validation, "message").(string)
	}
	return ""
}

func TestNodesAreLimitedToWhatThePlatformAllows(t *testing.T) {
	const name = "operators-test-chainlink-operator-node-limits"
	limits := policyOf(t, defaults(t, "--set", "nodeLimits.enabled=true"), name)
	wider := policyOf(t, defaults(t, "--set", "nodeLimits.enabled=true,nodeLimits.serviceAccountTokens=true",
		"--set", "nodeLimits.imageRepositories={mirror.example.com:5000/chainlink,smartcontract/chainlink}",
		"--set", "nodeLimits.sidecarRepositories={proxy,gcr.io/a.b/proxy}", "--set", "nodeLimits.serviceAccounts={default,vault}", "--set", "nodeLimits.users={0,14933}", "--set", "nodeLimits.groups={0,2147483647,14933}"), name)
	for spec, words := range map[string]string{
		`{"replicas":2}`: "",
		`{"pod":{"serviceAccountName":"default","volumes":[{"name":"ca","secretName":"ca"}]}}`:                              "",
		`{"image":{"repository":"mirror.example.com:5000/chainlink"}}`:                                                      "may not be mirror.example.com:5000/chainlink here: use one of smartcontract/chainlink",
		`{"pod":{"serviceAccountName":"vault"}}`:                                                                            "spec.pod.serviceAccountName may not be vault here: use one of default",
		`{"pod":{"automountServiceAccountToken":true}}`:                                                                     "no token of a service account",
		`{"pod":{"volumes":[{"name":"all","projected":{"sources":[{"secret":{}},{"serviceAccountToken":{"path":"t"}}]}}]}}`: "no token of a service account",
		`{"pod":{"sidecars":[{"name":"p","image":"gcr.io/a.b/proxy:2.14.1@sha256:0"}]}}`:                                    "there may be no spec.pod.sidecars",
		`{"pod":{"initContainers":[{"name":"p","image":"proxy:1"}]}}`:                                                       "there may be no spec.pod.sidecars",
		`{"pod":{"securityContext":{"runAsUser":0}}}`:                                                                       "may not be that number here; use one of 14933",
		`{"pod":{"securityContext":{"runAsGroup":0}}}`:                                                                      "may not be that number here; use one of 14933",
		`{"pod":{"securityContext":{"fsGroup":2147483647}}}`:                                                                "may not be that number here; use one of 14933",
	} {
		var wanted map[string]any
		decoder := json.NewDecoder(strings.NewReader(spec))
		if err := decoder.Decode(&wanted); err != nil {
			t.Fatal(err)
		}
		whole(wanted)
		said := limits.against(t, nil, wanted)
		if !strings.Contains(said, words) || (words == "") != (said == "") {
			t.Errorf("of %s it says: %q", spec, said)
		}
		if said := limits.against(t, map[string]any{"replicas": int64(1)}, wanted); (words == "") != (said == "") {
			t.Errorf("of a change to %s it says: %q", spec, said)
		}
		// One that was there before the limits may be annotated still.
		if said := limits.against(t, wanted, wanted); said != "" {
			t.Errorf("of %s, which was there, it says: %s", spec, said)
		}
		if said := wider.against(t, nil, wanted); said != "" {
			t.Errorf("wider limits say of %s: %s", spec, said)
		}
	}
}

func TestImagesBesideTheNodeAreOfTheRepositoriesThatAreNamed(t *testing.T) {
	limits := policyOf(t, defaults(t, "--set", "nodeLimits.enabled=true,nodeLimits.sidecarRepositories={proxy,gcr.io/a.b/proxy}"), "operators-test-chainlink-operator-node-limits")
	for image, taken := range map[string]bool{
		"proxy": true, "proxy:1": true, "proxy@sha256:0": true, "gcr.io/a.b/proxy:2.14.1@sha256:0": true,
		"proxy:5000/evil": false, "proxy/evil": false, "proxy-evil": false, "gcr.io/a.b/proxy/evil:1": false, "gcr.io/aXb/proxy": false,
		"evil.example.com/proxy": false, "proxy:1@evil/proxy": false,
	} {
		for _, field := range []string{"sidecars", "initContainers"} {
			one := map[string]any{"name": "p", "image": image}
			said := limits.against(t, nil, map[string]any{"pod": map[string]any{field: []any{one}}})
			if (said == "") != taken || !taken && !strings.Contains(said, "of one of these repositories here: proxy, gcr.io/a.b/proxy") {
				t.Errorf("of %s in %s it says: %q", image, field, said)
			}
			one["securityContext"] = map[string]any{"runAsUser": int64(0)}
			if said := limits.against(t, nil, map[string]any{"pod": map[string]any{field: []any{one}}}); said == "" {
				t.Errorf("%s may run as root in %s", image, field)
			}
		}
	}
}

// Numbers as the API server has them: those of JSON are floats to Go.
func whole(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, one := range value {
			if number, is := one.(float64); is {
				value[key] = int64(number)
			}
			whole(one)
		}
	case []any:
		for _, one := range value {
			whole(one)
		}
	}
}
