package chart

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The alerts of a group of rules, by name.
func alertsOf(t *testing.T, spec any) map[string]object {
	t.Helper()
	found := map[string]object{}
	groups, _ := at(spec, "groups").([]any)
	for _, group := range groups {
		for _, rule := range at(group, "rules").([]any) {
			found[at(rule, "alert").(string)] = rule.(object)
		}
	}
	return found
}

func TestTheRuleHasTheAlertsOfTheFileAsTheyAre(t *testing.T) {
	rule := defaults(t, "--set", "metrics.prometheusRule.enabled=true")["PrometheusRule test-chainlink-operator"]
	text, err := os.ReadFile(folder + "/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file object
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	expect(t, "the alerts", at(rule, "spec"), file)
}

func TestAnAlertCanBeLeftOutAndHaveLabelsAndPagesOfOnesOwn(t *testing.T) {
	rule := everything(t)["PrometheusRule nodes-operator"]
	expect(t, "its namespace", at(rule, "metadata", "namespace"), "monitoring")
	expect(t, "the label of the Prometheus", at(rule, "metadata", "labels", "release"), "prometheus")
	alerts := alertsOf(t, at(rule, "spec"))
	if len(alerts) != 15 || alerts["ChainlinkNodeSameMachine"] != nil {
		t.Errorf("%d alerts", len(alerts))
	}
	for name, alert := range alerts {
		expect(t, name, at(alert, "labels", "team"), "oracles")
		if url, _ := at(alert, "annotations", "runbook_url").(string); !strings.HasPrefix(url, "https://example.com/runbooks/") || !strings.HasSuffix(url, ".md") {
			t.Errorf("%s: %s", name, url)
		}
	}
}

func TestNoRuleIsMadeUnlessItIsAskedFor(t *testing.T) {
	for name := range defaults(t) {
		if strings.HasPrefix(name, "PrometheusRule") {
			t.Errorf("%s is made", name)
		}
	}
}
