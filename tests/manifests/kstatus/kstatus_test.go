// What kstatus makes of a ChainlinkNode: the library by which Helm 4 and Flux say whether an object is there yet. It is held
// against the table of phases in docs/status.md, on objects as the operator writes them.
package kstatus

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	page    = "../../../docs/status.md"
	scripts = "../../../examples/argocd/resource_customizations/chainlink-operator.dev/ChainlinkNode"
	// The folder of a walk on a real cluster: its scenario (make e2e ONLY=phases) has saved each object there, and names it.
	walked = "WALKED"
	// A walk that saw fewer has lost its way.
	phasesOfAWalk = 14
)

func text(t *testing.T, path string) string {
	t.Helper()
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

var words = regexp.MustCompile("`(\\w+)`")

// The table of phases: what kstatus is to say in each.
func phases(t *testing.T) map[string]status.Status {
	t.Helper()
	_, table, found := strings.Cut(text(t, page), "| phase | kstatus |")
	if !found {
		t.Fatalf("%s has no table of phases", page)
	}
	told := map[string]status.Status{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 && len(told) > 0 {
			break
		}
		if len(cells) < 4 {
			continue
		}
		for _, phase := range words.FindAllStringSubmatch(cells[1], -1) {
			told[phase[1]] = status.Status(strings.Trim(cells[2], " `"))
		}
	}
	if len(told) < phasesOfAWalk {
		t.Fatalf("the phases were not found: %v", told)
	}
	return told
}

type seen struct {
	phase, says string
	status      status.Status
	looked      bool
}

func look(t *testing.T, path string) seen {
	t.Helper()
	var object unstructured.Unstructured
	json, err := yaml.YAMLToJSON([]byte(text(t, path)))
	if err == nil {
		err = object.UnmarshalJSON(json)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	made, err := status.Compute(&object)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
	generation, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	looked := object.GetDeletionTimestamp() == nil && generation == object.GetGeneration()
	return seen{phase: phase, says: made.Message, status: made.Status, looked: looked}
}

// An object that the operator has not looked at since the last change is never there yet, whatever its phase is.
func judge(t *testing.T, path string, told map[string]status.Status) seen {
	t.Helper()
	seen := look(t, path)
	switch expected, known := told[seen.phase]; {
	case !seen.looked && seen.status != status.InProgressStatus && seen.status != status.TerminatingStatus:
		t.Errorf("%s is %s before the operator has looked at it", path, seen.status)
	case seen.looked && !known:
		t.Errorf("%s: the table in %s does not know the phase %s", path, page, seen.phase)
	case seen.looked && seen.status != expected:
		t.Errorf("%s is in the phase %s, which is to be %s, and kstatus says %s: %s", path, seen.phase, expected, seen.status, seen.says)
	}
	return seen
}

func objects(t *testing.T, pattern string, least int) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) < least {
		t.Fatalf("%s has %d objects (%v)", pattern, len(found), err)
	}
	return found
}

func TestPhases(t *testing.T) {
	told := phases(t)
	for _, path := range objects(t, scripts+"/testdata/*.yaml", 15) {
		judge(t, path, told)
	}
}

// What has to agree: where Argo CD sees a failure Flux does, too, and both go on at the same moment.
func TestArgoAgrees(t *testing.T) {
	agrees := map[status.Status]string{
		status.CurrentStatus: "Healthy Suspended", status.InProgressStatus: "Progressing",
		status.FailedStatus: "Degraded", status.TerminatingStatus: "Progressing",
	}
	// Nothing is made before a person ends the pause: no failure, and no node that works either.
	const apart = "testdata/paused-before-the-first-start.yaml"
	var file struct {
		Tests []struct {
			InputPath    string `json:"inputPath"`
			HealthStatus struct {
				Status string `json:"status"`
			} `json:"healthStatus"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal([]byte(text(t, scripts+"/health_test.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Tests) < 15 {
		t.Fatal("the healths were not found")
	}
	for _, test := range file.Tests {
		made, health := look(t, filepath.Join(scripts, test.InputPath)).status, test.HealthStatus.Status
		if agree := strings.Contains(agrees[made], health); agree == (test.InputPath == apart) {
			t.Errorf("%s: kstatus says %s, and Argo CD %s", test.InputPath, made, health)
		}
	}
}

// The page's expressions by which Flux waits for the version itself, evaluated as Flux does.
func TestExpressionsForFlux(t *testing.T) {
	environment, err := cel.NewEnv(cel.Variable("metadata", cel.DynType), cel.Variable("spec", cel.DynType), cel.Variable("status", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	evaluate := func(name, path string) bool {
		_, rest, found := strings.Cut(text(t, page), "\n      "+name+": ")
		expression, _, _ := strings.Cut(rest, "\n")
		if !found {
			t.Fatalf("%s has no expression %s", page, name)
		}
		tree, issues := environment.Compile(expression)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := environment.Program(tree)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text(t, scripts+"/testdata/"+path)), &object); err != nil {
			t.Fatal(err)
		}
		made, _, err := program.Eval(object)
		if err != nil {
			t.Fatalf("%s on %s: %v", name, path, err)
		}
		return made.Value() == true
	}
	for path, expected := range map[string][2]bool{
		"running.yaml": {true, false}, "approval-required.yaml": {false, false}, "not-seen.yaml": {false, false},
		"upgrading.yaml": {false, false}, "stalled.yaml": {false, true}, "starting.yaml": {false, false},
	} {
		if made := [2]bool{evaluate("current", path), evaluate("failed", path)}; made != expected {
			t.Errorf("%s is current, failed: %v", path, made)
		}
	}
}

func TestWalkOnACluster(t *testing.T) {
	folder := os.Getenv(walked)
	if folder == "" {
		t.Skipf("%s names no folder: make e2e ONLY=phases saves the objects of a walk, and judges them", walked)
	}
	told, met := phases(t), map[string]bool{}
	for _, path := range objects(t, folder+"/*.json", phasesOfAWalk) {
		seen := judge(t, path, told)
		met[seen.phase] = met[seen.phase] || seen.looked
		// Only what is asked for by a spec that can't work is saved under this name.
		if failed := seen.status == status.FailedStatus; failed && !strings.Contains(path, "bad-spec") {
			t.Errorf("%s has failed: %s", path, seen.says)
		}
	}
	if len(met) < phasesOfAWalk {
		t.Errorf("the walk went through %d phases: %v", len(met), met)
	}
}
