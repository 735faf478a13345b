// What Flux makes of the ranges that spec.updates takes (its ImagePolicy reads them with Masterminds/semver), and the examples
// of docs/updates.md.
package updates

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	automation "github.com/fluxcd/image-automation-controller/api/v1"
	reflector "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/google/cel-go/cel"
	"sigs.k8s.io/yaml"
)

// The table that src/node/range.rs is held by.
func TestARangeMeansHereWhatItMeansToFlux(t *testing.T) {
	table, err := os.ReadFile("../../fixtures/ranges.txt")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n") {
		text, versions, found := strings.Cut(line, " : ")
		if !found {
			continue
		}
		constraint, err := semver.NewConstraint(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, word := range strings.Fields(versions) {
			expected := !strings.HasPrefix(word, "!")
			version := semver.MustParse(strings.TrimPrefix(word, "!"))
			if constraint.Check(version) != expected {
				t.Errorf("%s: %s is in it: %v", text, version, !expected)
			}
			asked++
		}
	}
	if asked < 60 {
		t.Fatalf("the table was not read: %d", asked)
	}
}

const examples = "../../../examples/updates/"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(examples + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Decodes a document into the type that its reader has, and refuses a field that the type does not know.
func decode[T any](t *testing.T, document string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	return object
}

func TestTheExampleForFluxIsWhatItsControllersRead(t *testing.T) {
	documents := strings.Split(read(t, "flux.yaml"), "\n---\n")
	if len(documents) != 3 {
		t.Fatalf("%d documents", len(documents))
	}
	repository := decode[reflector.ImageRepository](t, documents[0])
	policy := decode[reflector.ImagePolicy](t, documents[1])
	update := decode[automation.ImageUpdateAutomation](t, documents[2])
	group := "image.toolkit.fluxcd.io/v1"
	for _, version := range []string{repository.APIVersion, policy.APIVersion, update.APIVersion} {
		if version != group {
			t.Errorf("%s is not %s", version, group)
		}
	}
	if policy.Spec.ImageRepositoryRef.Name != repository.Name || policy.Namespace != repository.Namespace {
		t.Errorf("the policy names another repository: %v", policy.Spec.ImageRepositoryRef)
	}
	if policy.Spec.DigestReflectionPolicy != reflector.ReflectIfNotPresent {
		t.Errorf("no digest is told: %s", policy.Spec.DigestReflectionPolicy)
	}
	if update.Spec.Update.Strategy != automation.UpdateStrategySetters {
		t.Errorf("nothing is set: %s", update.Spec.Update.Strategy)
	}

	// As the controller chooses.
	filter := regexp.MustCompile(policy.Spec.FilterTags.Pattern)
	constraint, err := semver.NewConstraint(policy.Spec.Policy.SemVer.Range)
	if err != nil {
		t.Fatal(err)
	}
	for tag, chosen := range map[string]bool{
		"2.29.0": true, "2.74.3": true, "2.75.0": false, "1.13.3": false, "2.30.0-root": false,
		"2.30.0-beta.1": false, "v2.29.0": false, "latest": false, "2.30.0-ccip1.5.0": false,
	} {
		match := filter.FindStringSubmatchIndex(tag)
		is := false
		if match != nil {
			extracted := string(filter.ExpandString(nil, policy.Spec.FilterTags.Extract, tag, match))
			is = constraint.Check(semver.MustParse(extracted))
		}
		if is != chosen {
			t.Errorf("%s is chosen: %v", tag, is)
		}
	}

	// What the setters look for, in the file of the node.
	node := read(t, "mainnet.yaml")
	name := policy.Namespace + ":" + policy.Name
	for field, part := range map[string]string{"version": "tag", "digest": "digest"} {
		line := regexp.MustCompile(`(?m)^ +` + field + `: \S+ # \{"\$imagepolicy": "` + name + ":" + part + `"\}$`)
		if len(line.FindAllString(node, -1)) != 1 {
			t.Errorf("mainnet.yaml has no %s for %s", field, name)
		}
	}
}

// Renovate reads its expressions with RE2, as Go does.
func TestTheExampleForRenovateReadsVersionAndDigest(t *testing.T) {
	var config struct {
		CustomManagers []struct {
			ManagerFilePatterns, MatchStrings []string
		}
		PackageRules []struct {
			AllowedVersions string
			MatchDepNames   []string
		}
	}
	if err := json.Unmarshal([]byte(read(t, "renovate.json")), &config); err != nil {
		t.Fatal(err)
	}
	manager, rule := config.CustomManagers[0], config.PackageRules[0]
	files := regexp.MustCompile(strings.Trim(manager.ManagerFilePatterns[0], "/"))
	if !files.MatchString("nodes/mainnet.yaml") || files.MatchString("other/mainnet.yaml") {
		t.Errorf("%s", files)
	}
	expression := regexp.MustCompile(manager.MatchStrings[0])
	node := read(t, "mainnet.yaml")
	found := expression.FindAllStringSubmatch(node, -1)
	if len(found) != 1 {
		t.Fatalf("%d nodes were found", len(found))
	}
	digest := "sha256:" + strings.Repeat("0", 64)
	for group, expected := range map[string]string{
		"currentValue": "2.29.0", "depName": "smartcontract/chainlink", "currentDigest": digest,
	} {
		if is := found[0][expression.SubexpIndex(group)]; is != expected {
			t.Errorf("%s is %q", group, is)
		}
	}
	if rule.MatchDepNames[0] != "smartcontract/chainlink" {
		t.Errorf("the rule is for %v", rule.MatchDepNames)
	}
	allowed := regexp.MustCompile(strings.Trim(rule.AllowedVersions, "/"))
	if !allowed.MatchString("2.30.0") || allowed.MatchString("2.30.0-beta.1") || allowed.MatchString("2.30.0-root") {
		t.Errorf("%s", allowed)
	}
}

// Who has to have signed, as upstream's README names it.
func TestTheSignaturePolicyNamesUpstreamsReleaseWorkflowAndNoOther(t *testing.T) {
	policy := decode[struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Mode        string
			Images      []struct{ Glob string }
			Authorities []struct {
				Name    string
				Keyless struct {
					URL        string
					Identities []struct{ Issuer, SubjectRegExp string }
				}
				CTLog struct{ URL string }
			}
		}
	}](t, read(t, "signed.yaml"))
	identity := policy.Spec.Authorities[0].Keyless.Identities[0]
	if identity.Issuer != "https://token.actions.githubusercontent.com" {
		t.Errorf("%s", identity.Issuer)
	}
	subject := regexp.MustCompile(identity.SubjectRegExp)
	workflow := "https://github.com/smartcontractkit/chainlink/.github/workflows/build-publish.yml@refs/"
	for name, signs := range map[string]bool{
		workflow + "tags/v2.29.0":        true,
		workflow + "tags/v2.29.0-beta.1": false,
		workflow + "heads/develop":       false,
		strings.Replace(workflow, "smartcontractkit", "somebody", 1) + "tags/v2.29.0": false,
		"https://example.com/" + workflow + "tags/v2.29.0":                            false,
	} {
		if subject.MatchString(name) != signs {
			t.Errorf("%s signs: %v", name, !signs)
		}
	}
}

// The rules of spec.updates in the CRD, in the API server's own language.
func TestTheRulesOfUpdatesRefuseWhatCanNotBeMeant(t *testing.T) {
	text, err := os.ReadFile("../../../crds/chainlinknodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type schema struct {
		Properties map[string]json.RawMessage
		Rules      []struct{ Rule, Message string } `json:"x-kubernetes-validations"`
	}
	crd := struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}{}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	within := func(one schema, field string) (inner schema) {
		if err := json.Unmarshal(one.Properties[field], &inner); err != nil {
			t.Fatal(err)
		}
		return inner
	}
	updates := within(within(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, "spec"), "updates")
	if len(updates.Rules) != 5 {
		t.Fatalf("%d rules", len(updates.Rules))
	}
	language, err := cel.NewEnv(cel.Variable("self", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(field, value string) (messages []string) {
		for _, rule := range updates.Rules {
			read, issues := language.Compile(rule.Rule)
			if issues.Err() != nil {
				t.Fatal(issues.Err())
			}
			program, err := language.Program(read)
			if err != nil {
				t.Fatal(err)
			}
			is, _, err := program.Eval(map[string]any{"self": map[string]string{field: value}})
			if err != nil {
				t.Fatal(err)
			}
			if is.Value() != true {
				messages = append(messages, rule.Message)
			}
		}
		return messages
	}
	for _, good := range [][2]string{
		{"range", ">=2.29.0 <3.0.0"}, {"range", "2.x"}, {"range", "~2.29 || ^3"}, {"range", ">=2.30.0-beta.1, !=2.30.1"},
		{"interval", "5m"}, {"interval", "300s"}, {"interval", "1h"}, {"interval", "1h30m"}, {"interval", "4m60s"}, {"interval", "1000s"},
		{"minimumAge", "72h"}, {"minimumAge", "0s"}, {"policy", "Tell"},
	} {
		if messages := refused(good[0], good[1]); messages != nil {
			t.Errorf("%s: %v", good, messages)
		}
	}
	for _, bad := range [][3]string{
		{"range", "newer (stable)", "range is one of versions"},
		{"range", "2.x; 3.x", "range is one of versions"},
		{"interval", "60", "interval is a duration"},
		{"interval", "often", "interval is a duration"},
		{"interval", "299s", "interval is too short"}, {"interval", "4m", "interval is too short"},
		{"interval", "4m59s", "interval is too short"}, {"interval", "0s", "interval is too short"},
		{"minimumAge", "3 days", "minimumAge is a duration"},
		{"policy", "Apply", "policy: Apply needs a range with an upper bound"},
	} {
		messages := refused(bad[0], bad[1])
		if len(messages) != 1 || !strings.Contains(messages[0], bad[2]) {
			t.Errorf("%s: %v", bad, messages)
		}
	}
}
