// What Helm renders of the chart. HELM is the program: `make chart` asks that of the test cluster's tools (Helm 4), and Helm 3.
package chart

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const folder = "../../../charts/chainlink-operator"

type object = map[string]any

// What Helm says to a command about the chart, with these arguments after it.
func helm(t *testing.T, command string, arguments ...string) (string, error) {
	t.Helper()
	program := os.Getenv("HELM")
	if program == "" {
		t.Fatal("HELM is not set: run make chart")
	}
	all := append([]string{command, "test", folder, "--namespace", "operators"}, arguments...)
	said, err := exec.Command(program, all...).CombinedOutput()
	return string(said), err
}

// The objects of a release with these values, by kind and name.
func rendered(t *testing.T, arguments ...string) map[string]object {
	t.Helper()
	said, err := helm(t, "template", arguments...)
	if err != nil {
		t.Fatal(said)
	}
	found := map[string]object{}
	for document := range strings.SplitSeq(said, "\n---\n") {
		var one object
		if err := yaml.Unmarshal([]byte(document), &one); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if one != nil {
			found[one["kind"].(string)+" "+at(one, "metadata", "name").(string)] = one
		}
	}
	if len(found) < 5 {
		t.Fatalf("few objects were found:\n%s", said)
	}
	return found
}

func defaults(t *testing.T, arguments ...string) map[string]object {
	return rendered(t, append([]string{"--values", folder + "/ci/defaults.yaml"}, arguments...)...)
}

func everything(t *testing.T, arguments ...string) map[string]object {
	return rendered(t, append([]string{"--values", folder + "/ci/everything-set.yaml"}, arguments...)...)
}

// A part of an object, by the names of fields and the places of items; nil where there is none.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			fields, _ := value.(object)
			value = fields[step]
		case int:
			items, _ := value.([]any)
			if step >= len(items) {
				return nil
			}
			value = items[step]
		}
	}
	return value
}

func expect(t *testing.T, what string, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("%s is %v and not %v", what, found, expected)
	}
}

// Whether a selector chooses what carries these labels.
func chooses(selector, labels any) bool {
	wanted, _ := selector.(object)
	carried, _ := labels.(object)
	for name, value := range wanted {
		if carried[name] != value {
			return false
		}
	}
	return len(wanted) > 0
}

var image = []any{"spec", "template", "spec", "containers", 0, "image"}

func TestAnImageHasToBeNamed(t *testing.T) {
	said, err := helm(t, "template")
	if err == nil || !strings.Contains(said, "image.repository is not set") || !strings.Contains(said, "--set image.repository=") {
		t.Errorf("it said: %s", said)
	}
}

func TestImagesAreNamedByWhatIsSet(t *testing.T) {
	for _, one := range []struct{ set, operator, tester string }{
		{"", "registry.example.com/chainlink-operator:0.1.0", "docker.io/library/busybox:1.37.0"},
		{"image.registry=mirror.example.com:5000/a", "mirror.example.com:5000/a/registry.example.com/chainlink-operator:0.1.0", "mirror.example.com:5000/a/docker.io/library/busybox:1.37.0"},
		{"image.registry=mirror,test.image.registry=other/", "mirror/registry.example.com/chainlink-operator:0.1.0", "other/docker.io/library/busybox:1.37.0"},
		{"image.tag=v2,test.image.tag=", "registry.example.com/chainlink-operator:v2", "docker.io/library/busybox:latest"},
	} {
		all := defaults(t, "--set", one.set)
		expect(t, one.set, at(all["Deployment test-chainlink-operator"], image...), one.operator)
		expect(t, one.set, at(all["Pod test-chainlink-operator-test"], "spec", "containers", 0, "image"), one.tester)
	}
	const sum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	pinned := defaults(t, "--set", "image.digest="+sum)
	expect(t, "one that is pinned", at(pinned["Deployment test-chainlink-operator"], image...), "registry.example.com/chainlink-operator@"+sum)
	all := everything(t)
	expect(t, "everything set", at(all["Pod nodes-operator-test"], "spec", "containers", 0, "image"), "registry.example.com/tools/busybox@"+sum)
}

func TestTheOperatorSeesAnAuthorityThatIsMounted(t *testing.T) {
	pod := at(everything(t)["Deployment nodes-operator"], "spec", "template", "spec")
	expect(t, "the volume", at(pod, "volumes", 0, "configMap", "name"), "registry-authority")
	expect(t, "its name", at(pod, "volumes", 0, "name"), at(pod, "containers", 0, "volumeMounts", 0, "name"))
	expect(t, "its place", at(pod, "containers", 0, "volumeMounts", 0, "mountPath"), "/authority")
}

func TestWhatNobodyAskedForIsNotThere(t *testing.T) {
	for name := range defaults(t) {
		kind, _, _ := strings.Cut(name, " ")
		if slices.Contains([]string{"NetworkPolicy", "ServiceMonitor"}, kind) || strings.Contains(name, "on-call") || strings.Contains(name, "node-limits") {
			t.Errorf("%s is there", name)
		}
	}
}

func TestAReleaseForTwoNamespacesHasNothingClusterWide(t *testing.T) {
	all := rendered(t, "--values", folder+"/ci/two-namespaces.yaml")
	for name, one := range all {
		if at(one, "metadata", "namespace") == nil {
			t.Errorf("%s is in no namespace", name)
		}
	}
	const role = "Role operators-test-chainlink-operator"
	if all[role] == nil {
		t.Errorf("there is no %s", role)
	}
}

func TestCommonLabelsAreOnEveryObjectAndPod(t *testing.T) {
	all := everything(t)
	for name, one := range all {
		if name == "ConfigMap test-dashboard" || name == "ConfigMap nodes-operator-as-text" {
			continue // the user's own
		}
		expect(t, name, at(one, "metadata", "labels", "example.com/cost-center"), "7")
	}
	pod := at(all["Deployment nodes-operator"], "spec", "template", "metadata", "labels")
	expect(t, "the operator's pod", at(pod, "example.com/cost-center"), "7")
	expect(t, "its own label", at(pod, "example.com/team"), "oracles")
	selector := at(all["Deployment nodes-operator"], "spec", "selector", "matchLabels")
	expect(t, "the selector, which can't be changed later", at(selector, "example.com/cost-center"), nil)
}

func TestExtraObjectsAreTemplates(t *testing.T) {
	all := everything(t)
	for _, name := range []string{"ConfigMap test-dashboard", "ConfigMap nodes-operator-as-text"} {
		if all[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestTheBudgetAndThePolicyAreAboutTheOperatorAlone(t *testing.T) {
	all := everything(t)
	operator := at(all["Deployment nodes-operator"], "spec", "template", "metadata", "labels")
	tester := at(all["Pod nodes-operator-test"], "metadata", "labels")
	for name, selector := range map[string]any{
		"the budget":  at(all["PodDisruptionBudget nodes-operator"], "spec", "selector", "matchLabels"),
		"the policy":  at(all["NetworkPolicy nodes-operator"], "spec", "podSelector", "matchLabels"),
		"the Service": at(all["Service nodes-operator-metrics"], "spec", "selector"),
	} {
		if !chooses(selector, operator) || chooses(selector, tester) {
			t.Errorf("%s chooses %v", name, selector)
		}
	}
	expect(t, "the budget", at(all["PodDisruptionBudget nodes-operator"], "spec", "maxUnavailable"), 0.0)
}

// The ports of the rules of a NetworkPolicy.
func ports(rules any) []any {
	found := []any{}
	for _, rule := range rules.([]any) {
		named, _ := at(rule, "ports").([]any)
		for _, port := range named {
			found = append(found, at(port, "port"))
		}
	}
	return found
}

func TestTheNetworkPolicyLetsInAndOutWhatIsNeeded(t *testing.T) {
	all := everything(t)
	spec := all["NetworkPolicy nodes-operator"]["spec"]
	from, _ := at(spec, "ingress", 0, "from").([]any)
	tester := at(all["Pod nodes-operator-test"], "metadata", "labels")
	lets := slices.ContainsFunc(from, func(one any) bool {
		return chooses(at(one, "podSelector", "matchLabels"), tester)
	})
	if len(from) != 2 || !lets {
		t.Errorf("the pod of helm test is kept out by %v", from)
	}
	expect(t, "egress", ports(at(spec, "egress")), []any{53.0, 53.0, 8443.0, 6688.0, 3128.0})
	nodes := at(spec, "egress", 2, "to", 0)
	expect(t, "the namespaces of nodes", at(nodes, "namespaceSelector", "matchExpressions", 0, "values"), []any{"oracles"})
	expect(t, "the pods of nodes", at(nodes, "podSelector", "matchLabels"), object{"app.kubernetes.io/name": "chainlink-node"})

	asks := everything(t, "--set", "databaseVerification.enabled=true")["NetworkPolicy nodes-operator"]["spec"]
	expect(t, "egress to databases", ports(at(asks, "egress")), []any{53.0, 53.0, 8443.0, 6688.0, 5432.0, 6432.0, 3128.0})

	spec = defaults(t, "--set", "networkPolicy.enabled=true")["NetworkPolicy test-chainlink-operator"]["spec"]
	expect(t, "egress by default", ports(at(spec, "egress")), []any{53.0, 53.0, 443.0, 6443.0, 6688.0, 5432.0})
	expect(t, "the namespaces by default", at(spec, "egress", 2, "to", 0, "namespaceSelector"), object{})
	expect(t, "who may ask for metrics by default", at(spec, "ingress", 0, "from"), nil)
}

// The rules of all roles that are about Secrets, by the kind, namespace and name of the role.
func aboutSecrets(all map[string]object) map[string]any {
	found := map[string]any{}
	for name, one := range all {
		rules, _ := one["rules"].([]any)
		for _, rule := range rules {
			if resources, _ := at(rule, "resources").([]any); slices.Contains(resources, any("secrets")) {
				found[name] = rule
			}
		}
	}
	return found
}

func TestSecretsAreReadByNameOnlyAndNotWhereThatIsOff(t *testing.T) {
	rule := func(names []any, verbs ...any) object {
		rule := object{"apiGroups": []any{""}, "resources": []any{"secrets"}, "verbs": verbs}
		if names != nil {
			rule["resourceNames"] = names
		}
		return rule
	}
	const secrets, key = "operators-test-chainlink-operator-secrets", "test-chainlink-operator-digest-key"
	own := rule([]any{key}, "get", "patch")
	all := defaults(t)
	expect(t, "by default", aboutSecrets(all), map[string]any{"ClusterRole " + secrets: rule(nil, "get"), "Role " + key: own})
	// Helm would take the key out again with each upgrade.
	expect(t, "what is in the key's Secret", []any{all["Secret "+key]["data"], all["Secret "+key]["stringData"]}, []any{nil, nil})
	env, _ := at(all["Deployment test-chainlink-operator"], "spec", "template", "spec", "containers", 0, "env").([]any)
	if !slices.ContainsFunc(env, func(one any) bool {
		return at(one, "name") == "DIGEST_KEY_SECRET" && at(one, "value") == "operators/"+key
	}) {
		t.Errorf("the operator is not told of the key: %v", env)
	}
	all = defaults(t, "--set", "databaseVerification.namespaces={oracles},databaseVerification.secretNames={db}")
	expect(t, "in one namespace", aboutSecrets(all), map[string]any{"Role " + secrets: rule([]any{"db"}, "get"), "Role " + key: own})
	expect(t, "the namespace", at(all["RoleBinding "+secrets], "metadata", "namespace"), "oracles")
	off := defaults(t, "--set", "databaseVerification.enabled=false")
	expect(t, "switched off", aboutSecrets(off), map[string]any{})
	if off["Secret "+key] != nil {
		t.Error("there is a key for nothing")
	}
	for _, one := range []map[string]object{all, off} {
		for name, object := range one {
			if at(object, "kind") == "ClusterRole" && strings.HasSuffix(name, "-secrets") {
				t.Errorf("%s is there", name)
			}
		}
	}
}

func TestThoseOnCallMayPatchAndNotUpdate(t *testing.T) {
	all := defaults(t, "--set", "rbac.onCallRole=true")
	const name = "operators-test-chainlink-operator-on-call"
	rules := at(all["ClusterRole "+name], "rules")
	looks := []any{"get", "list", "watch"}
	expect(t, "the rights", rules, any([]any{
		object{
			"apiGroups": []any{"chainlink-operator.dev"}, "resources": []any{"chainlinknodes"},
			"verbs": []any{"get", "list", "watch", "patch", "annotate"},
		},
		object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": looks},
		object{"apiGroups": []any{""}, "resources": []any{"pods/log"}, "verbs": []any{"get"}},
		object{"apiGroups": []any{""}, "resources": []any{"events"}, "verbs": looks},
	}))
	binding := all["ValidatingAdmissionPolicyBinding "+name]
	expect(t, "the policy that is bound", at(binding, "spec", "policyName"), name)
	expect(t, "what it does", at(binding, "spec", "validationActions"), []any{"Deny"})
	if all["ValidatingAdmissionPolicy "+name] == nil {
		t.Error("nothing holds them to annotations")
	}
}

func TestThePodIsPlacedAsSet(t *testing.T) {
	spec := at(everything(t)["Deployment nodes-operator"], "spec", "template", "spec")
	expect(t, "the priority", at(spec, "priorityClassName"), "system-cluster-critical")
	expect(t, "the spread", at(spec, "topologySpreadConstraints", 0, "topologyKey"), "topology.kubernetes.io/zone")
	spec = at(defaults(t)["Deployment test-chainlink-operator"], "spec", "template", "spec")
	expect(t, "the spread by default", at(spec, "topologySpreadConstraints", 0, "topologyKey"), "kubernetes.io/hostname")
	if at(spec, "affinity", "podAntiAffinity") == nil {
		t.Error("it does not keep away from node pods")
	}
}

func TestTheOperatorsShareTheLeaseThatTheyMayChange(t *testing.T) {
	for _, all := range []map[string]object{defaults(t), everything(t)} {
		for name, one := range all {
			if at(one, "kind") != "Deployment" {
				continue
			}
			_, called, _ := strings.Cut(name, " ")
			namespace := at(one, "metadata", "namespace").(string)
			var lease any
			for _, variable := range at(one, "spec", "template", "spec", "containers", 0, "env").([]any) {
				if at(variable, "name") == "LEADER_LEASE" {
					lease = at(variable, "value")
				}
			}
			expect(t, "the Lease", lease, namespace+"/"+called)
			role := all["Role "+called+"-lease"]
			expect(t, "where it may be changed", at(role, "metadata", "namespace"), namespace)
			expect(t, "which one may be changed", at(role, "rules", 1, "resourceNames"), any([]any{called}))
		}
	}
}

func TestHelmTestAsksTheMetricsServiceAndIsOfTheStrictestProfile(t *testing.T) {
	all := defaults(t)
	pod := all["Pod test-chainlink-operator-test"]
	command, _ := at(pod, "spec", "containers", 0, "command").([]any)
	// By the variable that the kubelet makes of a Service's name, as a shell reads it.
	asks := func(tells ...string) (string, error) {
		t.Helper()
		shell := exec.Command("sh", "-c", "wget() { echo \"$5\"; }\n"+strings.Replace(fmt.Sprint(command[len(command)-1]), "exec ", "", 1))
		shell.Env = tells
		said, err := shell.CombinedOutput()
		return strings.TrimSpace(string(said)), err
	}
	if all["Service test-chainlink-operator-metrics"] == nil || at(pod, "spec", "enableServiceLinks") != true {
		t.Error("the kubelet does not tell it where the Service is")
	}
	for _, place := range []string{"10.96.0.7:8080", "[fd00::7]:8080"} {
		if said, err := asks("TEST_CHAINLINK_OPERATOR_METRICS_PORT=tcp://" + place); err != nil || said != "http://"+place+"/readyz" {
			t.Errorf("it asks %s: %v", said, err)
		}
	}
	if said, err := asks(); err == nil || !strings.Contains(said, "the kubelet tells of no Service test-chainlink-operator-metrics") {
		t.Errorf("without the Service it says %q (%v)", said, err)
	}
	expect(t, "the hook", at(pod, "metadata", "annotations", "helm.sh/hook"), "test")
	operator := at(all["Deployment test-chainlink-operator"], "spec", "template", "spec")
	for _, path := range [][]any{{"securityContext"}, {"containers", 0, "securityContext"}} {
		expect(t, "its security", at(pod["spec"], path...), at(operator, path...))
	}
	for _, off := range []string{"test.enabled=false", "metrics.service.enabled=false"} {
		if defaults(t, "--set", off)["Pod test-chainlink-operator-test"] != nil {
			t.Errorf("it is there with %s", off)
		}
	}
}

func TestNotesTellWhatToDoNext(t *testing.T) {
	if said, err := exec.Command(os.Getenv("HELM"), "version", "--short").Output(); err == nil && strings.HasPrefix(string(said), "v3") {
		t.Skip("Helm 3 shows the notes of what it would install only beside a cluster; Helm 4 shows them without")
	}
	notes := func(arguments ...string) string {
		t.Helper()
		all := append([]string{"--dry-run=client", "--values", folder + "/ci/defaults.yaml"}, arguments...)
		said, err := helm(t, "install", all...)
		_, notes, found := strings.Cut(said, "NOTES:")
		if err != nil || !found {
			t.Fatal(said)
		}
		return notes
	}
	const tries, binds, waits = "helm test test --namespace operators", "--clusterrole operators-test-chainlink-operator-on-call", "A drain of the operator's machine waits"
	const drains, unseen, apply = "The operator reads no machines", "ChainlinkNodes of other namespaces are not seen", "apply it before"
	const reads, blind = "Switch it off by databaseVerification.enabled=false", "So it can't know"
	for _, one := range []struct {
		set   string
		tells []string
	}{
		{"", []string{tries, reads}},
		{"test.enabled=false", []string{reads}},
		{"databaseVerification.enabled=false", []string{tries, blind}},
		{"rbac.onCallRole=true", []string{tries, reads, binds}},
		{"crds.install=false", []string{tries, reads, apply}},
		{"machineMaintenance=never", []string{tries, reads, drains}},
		{"watchNamespaces={oracles}", []string{tries, reads, drains, unseen}},
		{"watchNamespaces={oracles},clusterWideRights=false", []string{tries, reads, drains, unseen, apply}},
		{"podDisruptionBudget.enabled=true", []string{tries, reads}},
		{"podDisruptionBudget.enabled=true,podDisruptionBudget.maxUnavailable=0", []string{tries, reads, waits}},
	} {
		text := notes("--set", one.set)
		for _, line := range []string{tries, reads, blind, binds, waits, drains, unseen, apply} {
			if strings.Contains(text, line) != slices.Contains(one.tells, line) {
				t.Errorf("with %q, of %q:\n%s", one.set, line, text)
			}
		}
	}
}

func TestValuesThatCanNotWorkAreRefused(t *testing.T) {
	for _, wrong := range []string{
		"replicas=0", "image.tagg=x", "image.repository=registry/name:tag", "image.registry=mirror:", "log.format=xml",
		"deletionProtection=maybe", "machineMaintenance=yes", "databaseVerification.enabled=Auto", "databaseVerification.namespaces={A}", "sessionSecrets.generate=maybe",
		`commonLabels.app\.kubernetes\.io/name=mine`, "podDisruptionBudget.maxUnavailable=2", "networkPolicy.apiServerPorts={}",
		"networkPolicy.databasePorts={http}", "clusterWideRights=maybe",
		"nodeNetworkPolicy.p2pPorts={p2p}", "nodeNetworkPolicy.outside[0].cidr=everywhere", "nodeLimits.users={root}", "nodeLimits.imageRepositories={}", "test.image.repository=", "extraObjects=none",
	} {
		said, err := helm(t, "template", "--values", folder+"/ci/defaults.yaml", "--set", wrong)
		if err == nil {
			t.Errorf("the chart takes %s", wrong)
		} else if !strings.Contains(said, "values don't meet the specifications of the schema") {
			t.Errorf("%s is refused by another than the schema: %s", wrong, said)
		}
	}
}
