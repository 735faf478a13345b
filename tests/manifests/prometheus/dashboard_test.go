package prometheus

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The queries of the dashboard, by the panels that ask them.
func queries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../charts/chainlink-operator/dashboards/chainlink-nodes.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ask := func(who, query string) {
		if found[who] != "" {
			t.Fatalf("two queries are called %s", who)
		}
		found[who] = strings.NewReplacer("$namespace", ".*", "$name", ".*").Replace(query)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			ask(panel.Title+" "+target.RefID, target.Expr)
		}
	}
	for _, annotation := range dashboard.Annotations.List {
		ask(annotation.Name, annotation.Expr)
	}
	if len(found) < 30 {
		t.Fatalf("%d queries were found", len(found))
	}
	return found
}

// What a running Prometheus answers: how many series, or why not.
func answers(prometheus, query string) (int, error) {
	answer, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var said struct {
		Error string
		Data  struct{ Result []any }
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return 0, err
	}
	if said.Error != "" {
		return 0, fmt.Errorf("%s", said.Error)
	}
	return len(said.Data.Result), nil
}

// A Prometheus that scrapes the page of metrics each second and knows the alerts, once it has scraped it twice.
func start(t *testing.T) string {
	t.Helper()
	operator := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		page, err := os.ReadFile("../../fixtures/metrics.txt")
		if err != nil {
			t.Error(err)
		}
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		answer.Write(page)
	}))
	t.Cleanup(operator.Close)
	rules, err := filepath.Abs(filepath.Join(files, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	configuration := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: operator
    honor_labels: true
    static_configs: [{targets: [%q]}]
`, rules, strings.TrimPrefix(operator.URL, "http://"))
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var log strings.Builder
	server := exec.Command(program(t, "prometheus"), "--config.file", file,
		"--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", address)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	const ready = `count_over_time(chainlink_operator_leading[1m]) >= 3 and on () ALERTS{alertstate="firing"}`
	until := time.Now().Add(time.Minute)
	for time.Now().Before(until) {
		if count, err := answers("http://"+address, ready); err == nil && count > 0 {
			return "http://" + address
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatal("no alert fires after a minute")
	return ""
}

func TestAPrometheusThatScrapesTheOperatorAnswersEveryQueryOfTheDashboard(t *testing.T) {
	prometheus := start(t)
	for who, query := range queries(t) {
		count, err := answers(prometheus, query)
		switch {
		case err != nil:
			t.Errorf("%s: %v: %s", who, err, query)
		// Nothing moves on a page that stands still.
		case who == "Moves of the lock":
		case count == 0:
			t.Errorf("%s: nothing answers %s", who, query)
		}
	}
	if count, err := answers(prometheus, "up == 1"); err != nil || count != 1 {
		t.Errorf("%d targets are up: %v", count, err)
	}
}
