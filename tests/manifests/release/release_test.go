// What a release is made of, as far as no registry is needed: install.yaml is what the chart renders, and the bill of
// materials is what Cargo.lock says. HELM is the program, which `make chart` builds with the test cluster's tools.
package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	repository = "../../.."
	dist       = repository + "/target/dist"
	image      = "registry.example.com/chainlink-operator"
	digest     = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

type object = map[string]any

func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Dir = repository
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, said)
	}
	return string(said)
}

func helm(t *testing.T, arguments ...string) string {
	t.Helper()
	program := os.Getenv("HELM")
	if program == "" {
		t.Fatal("HELM is not set: run make chart")
	}
	return run(t, program, arguments...)
}

var made map[string]string

// The parts of a release, made by the first test that asks.
func parts(t *testing.T) map[string]string {
	t.Helper()
	if made == nil {
		made = build(t)
	}
	return made
}

func build(t *testing.T) map[string]string {
	t.Helper()
	run(t, "make", "--silent", "dist", "IMAGE="+image, "DIGEST="+digest, "HELM="+os.Getenv("HELM"))
	found := map[string]string{}
	paths, _ := filepath.Glob(dist + "/*")
	for _, path := range paths {
		bytes, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = string(bytes)
	}
	return found
}

func objects(t *testing.T, text string) []object {
	t.Helper()
	found := []object{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var one object
		if err := yaml.Unmarshal([]byte(document), &one); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if one != nil {
			found = append(found, one)
		}
	}
	return found
}

func TestInstallYamlIsWhatTheChartRenders(t *testing.T) {
	made := parts(t)
	install := objects(t, made["install.yaml"])
	rendered := objects(t, helm(t, "template", "chainlink-operator", "charts/chainlink-operator", "--namespace", "chainlink-operator",
		"--no-hooks", "--set", "image.repository="+image, "--set", "image.digest="+digest))
	if len(rendered) < 8 || install[0]["kind"] != "Namespace" {
		t.Fatalf("%d objects were rendered, and the first is %v", len(rendered), install[0]["kind"])
	}
	if !reflect.DeepEqual(install[1:], rendered) {
		t.Error("install.yaml differs from what the chart renders")
	}
	if !strings.Contains(made["install.yaml"], image+"@"+digest) {
		t.Error("the image is not named by its digest")
	}
	kept := objects(t, helm(t, "template", "chainlink-operator", "target/dist/chainlink-operator-0.1.0.tgz", "--namespace", "chainlink-operator", "--no-hooks"))
	if !reflect.DeepEqual(kept, rendered) {
		t.Error("the chart's archive renders something else")
	}
}

func TestTheChartNamesItsImageForThoseWhoListCharts(t *testing.T) {
	parts(t)
	var chart struct{ Annotations map[string]string }
	if err := yaml.Unmarshal([]byte(helm(t, "show", "chart", "target/dist/chainlink-operator-0.1.0.tgz")), &chart); err != nil {
		t.Fatal(err)
	}
	var images []struct {
		Image     string
		Platforms []string
	}
	if err := yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/images"]), &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 || images[0].Image != image+"@"+digest || len(images[0].Platforms) != 2 {
		t.Errorf("the images are %v", images)
	}
}

func TestEveryPartIsSummed(t *testing.T) {
	made := parts(t)
	if len(made) != 4 {
		t.Errorf("%d parts were made", len(made))
	}
	for name := range made {
		if name != "SHA256SUMS" && !strings.Contains(made["SHA256SUMS"], "  "+name+"\n") {
			t.Errorf("%s has no sum", name)
		}
	}
}

func TestTheSameCommitMakesTheSameBytes(t *testing.T) {
	first, second := parts(t), build(t)
	for _, name := range []string{"install.yaml", "sbom.cdx.json"} {
		if first[name] == "" || first[name] != second[name] {
			t.Errorf("%s differs from one time to the next", name)
		}
	}
}

type crate struct {
	Name, Version, Purl string
	Hashes              []struct{ Alg, Content string }
}

var locked = regexp.MustCompile(`name = "([^"]+)"\nversion = "([^"]+)"\nsource = "registry[^"]*"\nchecksum = "([0-9a-f]{64})"`)

func TestTheBillOfMaterialsIsWhatCargoLockSays(t *testing.T) {
	var bill struct{ Components []crate }
	if err := json.Unmarshal([]byte(parts(t)["sbom.cdx.json"]), &bill); err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile(repository + "/Cargo.lock")
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, one := range locked.FindAllStringSubmatch(string(lock), -1) {
		sums[one[1]+"@"+one[2]] = one[3]
	}
	named := map[string]bool{}
	for _, one := range bill.Components {
		named[one.Name] = true
		sum := sums[one.Name+"@"+one.Version]
		if len(one.Hashes) != 1 || one.Hashes[0].Content != sum || one.Purl != "pkg:cargo/"+one.Name+"@"+one.Version {
			t.Errorf("%v is not what Cargo.lock has (%s)", one, sum)
		}
	}
	for _, name := range []string{"kube", "tokio", "rustls", "ring", "tokio-postgres", "libc"} {
		if !named[name] {
			t.Errorf("%s is compiled in, and not named", name)
		}
	}
	// Of the compiler's macros, of build scripts and of other systems nothing is in the program.
	for _, name := range []string{"syn", "cc", "windows-sys", "chainlink-simulator", "chainlink-operator"} {
		if named[name] {
			t.Errorf("%s is named, and not compiled in", name)
		}
	}
}
