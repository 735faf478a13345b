// What Prometheus makes of the alerts. PROMETHEUS is the folder of its programs: make alerts sees to it.
package prometheus

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const files = "../../../charts/chainlink-operator/files"

// What a program of Prometheus says.
func run(t *testing.T, name string, arguments ...string) {
	t.Helper()
	said, err := exec.Command(program(t, name), arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("PROMETHEUS")
	if folder == "" {
		t.Fatal("PROMETHEUS is not set: run make alerts")
	}
	return filepath.Join(folder, name)
}

func TestTheAlertsAreAFileOfRulesByThemselves(t *testing.T) {
	run(t, "promtool", "check", "rules", filepath.Join(files, "alerts.yaml"))
}

func TestEachAlertFiresWhenItShouldAndEnds(t *testing.T) {
	for _, tests := range []string{"alerts.test.yaml", "alerts-of-days.test.yaml"} {
		t.Run(tests, func(t *testing.T) {
			t.Parallel()
			run(t, "promtool", "test", "rules", tests)
		})
	}
}

func TestThePageOfMetricsIsOneThatPrometheusFindsNothingWrongWith(t *testing.T) {
	page, err := os.Open("../../fixtures/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	check := exec.Command(program(t, "promtool"), "check", "metrics")
	check.Stdin = page
	if said, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}
