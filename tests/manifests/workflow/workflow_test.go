// The workflows of the forge, read by the linter that knows them, and what they rest on: every action and every base image
// is named by its content, so that nobody can put another in its place.
package workflow

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

const repository = "../../.."

func text(t *testing.T, path string) string {
	t.Helper()
	bytes, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

func workflows(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(repository + "/.github/workflows/*.yml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no workflow was found (%v)", err)
	}
	return found
}

func TestWorkflowsLint(t *testing.T) {
	var said bytes.Buffer
	linter, err := actionlint.NewLinter(&said, &actionlint.LinterOptions{Shellcheck: "shellcheck"})
	if err != nil {
		t.Fatal(err)
	}
	if faults, err := linter.LintFiles(workflows(t), nil); err != nil || len(faults) > 0 {
		t.Errorf("%v\n%s", err, said.String())
	}
}

var action = regexp.MustCompile(`uses: (\S+)(.*)`)
var commit = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)

func TestActionsAreNamedByTheirCommit(t *testing.T) {
	for _, path := range workflows(t) {
		used := action.FindAllStringSubmatch(text(t, strings.TrimPrefix(path, repository+"/")), -1)
		if len(used) == 0 {
			t.Fatalf("%s uses no action", path)
		}
		for _, one := range used {
			if !commit.MatchString(one[1]) || !strings.Contains(one[2], "# v") {
				t.Errorf("%s: %s is not a commit with its version beside it", path, one[0])
			}
		}
	}
}

var base = regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`)

func TestBasesAreNamedByTheirDigest(t *testing.T) {
	found := base.FindAllStringSubmatch(text(t, "Dockerfile"), -1)
	if len(found) != 2 {
		t.Fatalf("%d bases were found", len(found))
	}
	for _, one := range found {
		if !regexp.MustCompile(`:\S+@sha256:[0-9a-f]{64}$`).MatchString(one[1]) {
			t.Errorf("%s has no digest beside its tag", one[1])
		}
	}
}

func TestTheDockerfileIsGivenWhatCargoReads(t *testing.T) {
	given := t.TempDir()
	for _, command := range []*exec.Cmd{
		exec.Command(repository+"/.github/reproducible.py", "--context", given),
		exec.Command("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1",
			"--manifest-path", filepath.Join(given, "Cargo.toml")),
	} {
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command.Args, err, said)
		}
	}
	compiles := regexp.MustCompile(`"\$\((\.github/\S+)`).FindStringSubmatch(text(t, "Dockerfile"))
	if compiles == nil {
		t.Fatal("the Dockerfile compiles by no script")
	}
	if _, err := os.Stat(filepath.Join(given, compiles[1])); err != nil {
		t.Errorf("the Dockerfile runs %s, and is not given it", compiles[1])
	}
}
