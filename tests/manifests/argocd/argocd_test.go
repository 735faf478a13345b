// Argo CD's scripts for a ChainlinkNode, tried as Argo CD runs them: in its Lua engine, with what it lets a script use, from
// files in its own layout (resource_customizations/GROUP/KIND). What is tried there can be sent there as it is.
package argocd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

const (
	folder  = "../../../examples/argocd"
	scripts = folder + "/resource_customizations/chainlink-operator.dev/ChainlinkNode"
	actions = scripts + "/actions"
)

type object = map[string]any

func text(t *testing.T, path string) string {
	t.Helper()
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes)
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// A script from argocd-cm gets a few libraries, one that is built into Argo CD all of them.
var libraries = map[string]bool{"from argocd-cm": false, "built in": true}

// Runs a script on an object, and returns what it returns.
func run(script string, on object, parameters map[string]string, allLibraries bool) (any, error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: !allLibraries})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.SetContext(limited)
	given := object{}
	for name, value := range parameters {
		given[name] = value
	}
	l.SetGlobal("actionParams", toLua(l, given))
	l.SetGlobal("obj", toLua(l, on))
	if err := l.DoString(script); err != nil {
		if failed, ok := err.(*lua.ApiError); ok {
			return nil, fmt.Errorf("%s", failed.Object.String())
		}
		return nil, err
	}
	return fromLua(l.Get(-1)), nil
}

func toLua(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := l.NewTable()
		for _, item := range value {
			table.Append(toLua(l, item))
		}
		return table
	case object:
		table := l.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(l, item))
		}
		return table
	}
	return lua.LNil
}

// Lua knows one kind of table: an empty one comes back as a list, as in Argo CD.
func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case lua.LString:
		return string(value)
	case *lua.LTable:
		fields, items := object{}, []any{}
		value.ForEach(func(key, item lua.LValue) {
			if name, ok := key.(lua.LString); ok {
				fields[string(name)] = fromLua(item)
			} else {
				items = append(items, fromLua(item))
			}
		})
		if len(fields) > 0 {
			return fields
		}
		return items
	}
	return nil
}

// Argo CD takes an empty list for the map that was there before the script ran.
func cleaned(made, before any) any {
	switch made := made.(type) {
	case object:
		before, _ := before.(object)
		for key := range made {
			made[key] = cleaned(made[key], before[key])
		}
	case []any:
		if fields, ok := before.(object); ok && len(made) == 0 {
			return fields
		}
		before, _ := before.([]any)
		for at := range made {
			if at < len(before) {
				made[at] = cleaned(made[at], before[at])
			}
		}
	}
	return made
}

func shown(value any) string {
	text, _ := yaml.Marshal(value)
	return string(text)
}

func TestHealth(t *testing.T) {
	var file struct {
		Tests []struct {
			InputPath    string `json:"inputPath"`
			HealthStatus object `json:"healthStatus"`
		} `json:"tests"`
	}
	read(t, scripts+"/health_test.yaml", &file)
	tried := map[string]bool{}
	for _, test := range file.Tests {
		tried[test.InputPath] = true
		for where, all := range libraries {
			t.Run(where+"/"+test.InputPath, func(t *testing.T) {
				var on object
				read(t, filepath.Join(scripts, test.InputPath), &on)
				health, err := run(text(t, scripts+"/health.lua"), on, nil, all)
				if err != nil || !reflect.DeepEqual(health, any(test.HealthStatus)) {
					t.Errorf("health is %v (%v)", health, err)
				}
			})
		}
	}
	kept, _ := filepath.Glob(scripts + "/testdata/*.yaml")
	if len(kept) < 10 {
		t.Fatal("testdata was not found")
	}
	for _, path := range kept {
		if name := "testdata/" + filepath.Base(path); !tried[name] {
			t.Errorf("health_test.yaml says nothing of %s", name)
		}
	}
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string   `json:"inputPath"`
		Result    []object `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action               string            `json:"action"`
		InputPath            string            `json:"inputPath"`
		ExpectedOutputPath   string            `json:"expectedOutputPath"`
		ExpectedErrorMessage string            `json:"expectedErrorMessage"`
		Parameters           map[string]string `json:"parameters"`
	} `json:"actionTests"`
}

// Argo CD keeps no more of an action, and of a parameter its name; what is false or empty is not there.
func action(name string, found any) object {
	kept := object{"name": name}
	fields, _ := found.(object)
	for _, field := range []string{"displayName", "iconClass"} {
		if word, ok := fields[field].(string); ok {
			kept[field] = word
		}
	}
	if fields["disabled"] == true {
		kept["disabled"] = true
	}
	if parameters, ok := fields["params"].([]any); ok {
		names := []any{}
		for _, parameter := range parameters {
			names = append(names, object{"name": parameter.(object)["name"]})
		}
		kept["params"] = names
	}
	return kept
}

func TestDiscovery(t *testing.T) {
	var file actionTests
	read(t, actions+"/action_test.yaml", &file)
	if len(file.DiscoveryTests) < 5 {
		t.Fatal("the tests were not found")
	}
	for _, test := range file.DiscoveryTests {
		for where, all := range libraries {
			t.Run(where+"/"+test.InputPath, func(t *testing.T) {
				var on object
				read(t, filepath.Join(actions, test.InputPath), &on)
				found, err := run(text(t, actions+"/discovery.lua"), on, nil, all)
				if err != nil {
					t.Fatal(err)
				}
				names := []string{}
				for name, one := range found.(object) {
					names = append(names, name)
					expected := slices.ContainsFunc(test.Result, func(other object) bool {
						return reflect.DeepEqual(action(name, one), other)
					})
					if !expected {
						t.Errorf("not expected: %v", action(name, one))
					}
				}
				if len(names) != len(test.Result) {
					t.Errorf("%d actions are expected, these were found: %v", len(test.Result), names)
				}
			})
		}
	}
}

func TestActions(t *testing.T) {
	var file actionTests
	read(t, actions+"/action_test.yaml", &file)
	tried := map[string]bool{}
	for number, test := range file.ActionTests {
		tried[test.Action] = true
		for where, all := range libraries {
			t.Run(fmt.Sprintf("%s/%d-%s", where, number, test.Action), func(t *testing.T) {
				script := text(t, filepath.Join(actions, test.Action, "action.lua"))
				var before, on, expected object
				read(t, filepath.Join(actions, test.InputPath), &before)
				read(t, filepath.Join(actions, test.InputPath), &on)
				made, err := run(script, on, test.Parameters, all)
				if test.ExpectedErrorMessage != "" {
					if err == nil || err.Error() != test.ExpectedErrorMessage {
						t.Errorf("it said: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				read(t, filepath.Join(actions, test.ExpectedOutputPath), &expected)
				if made := cleaned(made, before); !reflect.DeepEqual(made, any(expected)) {
					t.Errorf("expected:\n%s\nmade:\n%s", shown(expected), shown(made))
				}
			})
		}
	}
	folders, _ := filepath.Glob(actions + "/*/action.lua")
	if len(folders) < 8 {
		t.Fatal("the actions were not found")
	}
	for _, path := range folders {
		if name := filepath.Base(filepath.Dir(path)); !tried[name] {
			t.Errorf("action_test.yaml does not try %s", name)
		}
	}
}

// For whoever does not wait until they come with Argo CD: the same scripts as settings of argocd-cm.
func TestSettings(t *testing.T) {
	definitions := []any{}
	folders, _ := filepath.Glob(actions + "/*/action.lua")
	for _, path := range folders {
		name := filepath.Base(filepath.Dir(path))
		definitions = append(definitions, object{"name": name, "action.lua": text(t, path)})
	}
	all, err := yaml.Marshal(object{"discovery.lua": text(t, actions+"/discovery.lua"), "definitions": definitions})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := yaml.Marshal(object{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata": object{
			"name": "argocd-cm", "namespace": "argocd", "labels": object{"app.kubernetes.io/part-of": "argocd"},
		},
		"data": object{
			"resource.customizations.health.chainlink-operator.dev_ChainlinkNode":  text(t, scripts+"/health.lua"),
			"resource.customizations.actions.chainlink-operator.dev_ChainlinkNode": string(all),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	const note = "# Made of the scripts in resource_customizations: UPDATE_GOLDEN=1 make manifests\n"
	made, path := note+string(settings), folder+"/argocd-cm.yaml"
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, _ := os.ReadFile(path); string(kept) != made {
		t.Errorf("%s is not what the scripts make: UPDATE_GOLDEN=1 make manifests", path)
	}
	// A tab, a carriage return or a space at the end of a line would turn the scripts into one quoted line.
	for line := range strings.Lines(made) {
		if strings.Contains(line, `\n`) {
			t.Errorf("the settings can't be read by people: %.60s", line)
		}
	}
	var again object
	if err := yaml.Unmarshal([]byte(made), &again); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(again); err != nil {
		t.Fatal(err)
	}
}
