// What a release is made of, as far as no registry is needed: install.yaml is what the chart renders, the bill of materials is
// what Cargo.lock says, and krew's manifest has the sums of the plugin's archives. HELM is the program, which `make chart` builds
// with the test cluster's tools.
package release

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
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
	parted     = repository + "/target/dist"
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

// Stands for the plugin's archives, which a release compiles for each platform.
var archives = map[string]string{
	"kubectl-chainlink-x86_64-unknown-linux-gnu.tar.gz":  "for amd64",
	"kubectl-chainlink-aarch64-unknown-linux-gnu.tar.gz": "for arm64",
}

func dist(t *testing.T, plugin string) (string, error) {
	t.Helper()
	command := exec.Command("make", "--silent", "dist", "IMAGE="+image, "DIGEST="+digest, "HELM="+os.Getenv("HELM"),
		"PLUGIN="+plugin, "REPOSITORY=owner/name")
	command.Dir = repository
	said, err := command.CombinedOutput()
	return string(said), err
}

func build(t *testing.T) map[string]string {
	t.Helper()
	plugin := t.TempDir()
	for name, content := range archives {
		if err := os.WriteFile(filepath.Join(plugin, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := dist(t, plugin); err != nil {
		t.Fatalf("make dist: %v\n%s", err, said)
	}
	found := map[string]string{}
	paths, _ := filepath.Glob(parted + "/*")
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
	if len(made) != 8 {
		t.Errorf("%d parts were made", len(made))
	}
	for name := range made {
		if name != "SHA256SUMS" && !strings.Contains(made["SHA256SUMS"], "  "+name+"\n") {
			t.Errorf("%s has no sum", name)
		}
	}
}

func TestKrewsManifestHasTheSumsOfTheArchives(t *testing.T) {
	made := parts(t)
	var plugin struct {
		Spec struct {
			Version   string
			Platforms []struct{ URI, Sha256 string }
		}
	}
	if err := yaml.Unmarshal([]byte(made["chainlink.yaml"]), &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.Spec.Version != "v0.1.0" || len(plugin.Spec.Platforms) != len(archives) {
		t.Errorf("%s for %d platforms", plugin.Spec.Version, len(plugin.Spec.Platforms))
	}
	for _, one := range plugin.Spec.Platforms {
		name := one.URI[strings.LastIndex(one.URI, "/")+1:]
		if made[name] == "" || made[name] != archives[name] {
			t.Errorf("%s is not in the release", name)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(archives[name]))); sum != one.Sha256 {
			t.Errorf("%s has the sum %s, and the manifest says %s", name, sum, one.Sha256)
		}
		if !strings.HasPrefix(one.URI, "https://github.com/owner/name/releases/download/v0.1.0/") {
			t.Errorf("%s is not of the release", one.URI)
		}
	}
}

func TestAReleaseWithoutTheArchiveOfAPlatformIsNotMade(t *testing.T) {
	said, err := dist(t, t.TempDir())
	if err == nil || !strings.Contains(said, "say make plugin TARGET=… for each platform first") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestTheSameCommitMakesTheSameBytes(t *testing.T) {
	first, second := parts(t), build(t)
	for _, name := range []string{"install.yaml", "sbom.cdx.json", "kubectl-chainlink.cdx.json", "chainlink.yaml"} {
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

func TestTheBillsOfMaterialsAreWhatCargoLockSays(t *testing.T) {
	lock, err := os.ReadFile(repository + "/Cargo.lock")
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, one := range locked.FindAllStringSubmatch(string(lock), -1) {
		sums[one[1]+"@"+one[2]] = one[3]
	}
	for part, compiled := range map[string][]string{
		"sbom.cdx.json":              {"kube", "tokio", "rustls", "ring", "tokio-postgres", "libc"},
		"kubectl-chainlink.cdx.json": {"kube", "tokio", "rustls", "ring", "clap", "libc"},
	} {
		var bill struct{ Components []crate }
		if err := json.Unmarshal([]byte(parts(t)[part]), &bill); err != nil {
			t.Fatal(err)
		}
		named := map[string]bool{}
		for _, one := range bill.Components {
			named[one.Name] = true
			sum := sums[one.Name+"@"+one.Version]
			ours := one.Name == "chainlink-operator" && part == "kubectl-chainlink.cdx.json"
			if !ours && (len(one.Hashes) != 1 || one.Hashes[0].Content != sum) || one.Purl != "pkg:cargo/"+one.Name+"@"+one.Version {
				t.Errorf("%s: %v is not what Cargo.lock has (%s)", part, one, sum)
			}
		}
		for _, name := range compiled {
			if !named[name] {
				t.Errorf("%s: %s is compiled in, and not named", part, name)
			}
		}
		// Of the compiler's macros, of build scripts and of other systems nothing is in the program.
		for _, name := range []string{"syn", "cc", "windows-sys", "chainlink-simulator"} {
			if named[name] {
				t.Errorf("%s: %s is named, and not compiled in", part, name)
			}
		}
	}
}
