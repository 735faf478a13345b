package prometheus

import (
	"os/exec"
	"regexp"
	"testing"
)

const inSeconds = `
import sys
sys.path.insert(0, "../../e2e")
sys.dont_write_bytecode = True
import alerts
print(alerts.in_seconds(alerts.RULES.read_text()))
`

// A scenario lasts for minutes: an alert that waits longer there is never seen.
func TestBesideTheScenariosEveryAlertWaitsForSeconds(t *testing.T) {
	rules, err := exec.Command("python3", "-c", inSeconds).Output()
	if err != nil {
		t.Fatal(err)
	}
	waits := regexp.MustCompile(`(?m)for: (.*)$`).FindAllStringSubmatch(string(rules), -1)
	if len(waits) < 10 {
		t.Fatalf("%d alerts wait", len(waits))
	}
	for _, wait := range waits {
		if !regexp.MustCompile(`^\d+s$`).MatchString(wait[1]) {
			t.Errorf("an alert waits for %s", wait[1])
		}
	}
	if long := regexp.MustCompile(`\[\d+[hd]\]|\* (3600|86400)`).FindAllString(string(rules), -1); long != nil {
		t.Errorf("alerts look back for %v", long)
	}
}
