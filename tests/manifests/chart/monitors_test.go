package chart

import (
	"os"
	"strings"
	"testing"
)

const ofNodes = "PodMonitor operators-nodes-operator-nodes"

func TestTheNodesAreReadWhereTheyWorkAndByTheTokenBesideThem(t *testing.T) {
	for _, namespace := range []string{"oracles", "feeds"} {
		monitor := everything(t, "--set", "metrics.podMonitor.namespaces={"+namespace+"}")[ofNodes]
		expect(t, "where it is", at(monitor, "metadata", "namespace"), namespace)
		expect(t, "whom it selects", at(monitor, "spec", "selector", "matchLabels"), object{
			"app.kubernetes.io/name":      "chainlink-node",
			"chainlink-operator.dev/role": "active",
		})
		endpoint := at(monitor, "spec", "podMetricsEndpoints", 0)
		expect(t, "the port", at(endpoint, "port"), "http")
		expect(t, "the token", at(endpoint, "authorization"), object{
			"type":        "Bearer",
			"credentials": object{"name": "node-metrics", "key": "token"},
		})
		expect(t, "the name", at(endpoint, "relabelings", 0, "targetLabel"), "name")
		expect(t, "a label of one's own", at(endpoint, "relabelings", 1, "targetLabel"), "cluster")
	}
}

func TestAMonitorOfNodesIsMadeInEachOfTheirNamespaces(t *testing.T) {
	said, err := helm(t, "template", "--values", folder+"/ci/everything-set.yaml", "--show-only", "templates/podmonitor.yaml")
	if err != nil {
		t.Fatal(said)
	}
	for _, namespace := range []string{"oracles", "feeds"} {
		if strings.Count(said, "namespace: "+namespace+"\n") != 1 {
			t.Errorf("%s in:\n%s", namespace, said)
		}
	}
}

func TestNoTokenIsSentWhereNoneIsNamed(t *testing.T) {
	all := defaults(t, "--set", "metrics.podMonitor.enabled=true", "--set", "metrics.podMonitor.namespaces={oracles}")
	endpoint := at(all["PodMonitor operators-test-chainlink-operator-nodes"], "spec", "podMetricsEndpoints", 0)
	expect(t, "the path", at(endpoint, "path"), "/metrics")
	expect(t, "the token", at(endpoint, "authorization"), nil)
}

func TestAMonitorOfNodesHasToKnowWhereTheyAre(t *testing.T) {
	said, err := helm(t, "template", "--values", folder+"/ci/defaults.yaml", "--set", "metrics.podMonitor.enabled=true")
	if err == nil || !strings.Contains(said, "metrics.podMonitor.namespaces") {
		t.Error(said)
	}
}

func TestTheOperatorIsReadWithTheNamespacesOfItsResources(t *testing.T) {
	all := defaults(t, "--set", "metrics.serviceMonitor.enabled=true")
	endpoint := at(all["ServiceMonitor test-chainlink-operator"], "spec", "endpoints", 0)
	expect(t, "the labels of a resource", at(endpoint, "honorLabels"), true)
	expect(t, "the port", at(endpoint, "port"), "metrics")
}

func TestTheDashboardIsGivenAsItStands(t *testing.T) {
	text, err := os.ReadFile(folder + "/dashboards/chainlink-nodes.json")
	if err != nil {
		t.Fatal(err)
	}
	given := everything(t)["ConfigMap nodes-operator-dashboard"]
	expect(t, "its namespace", at(given, "metadata", "namespace"), "monitoring")
	expect(t, "the label of the sidecar", at(given, "metadata", "labels", "dashboards"), "oracles")
	expect(t, "the dashboard", at(given, "data", "chainlink-nodes.json"), strings.TrimSpace(string(text)))
	if defaults(t)["ConfigMap test-chainlink-operator-dashboard"] != nil {
		t.Error("it is made where nobody asks for it")
	}
}
