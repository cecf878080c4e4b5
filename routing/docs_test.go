package routing

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"envoxyd/internal/routespec"
)

// What there is, is in the documentation, and its examples can be compiled.
func TestDocumentation(t *testing.T) {
	bytes, err := os.ReadFile("../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(bytes)
	var refused []string
	for name := range otherActions {
		refused = append(refused, name)
	}
	for _, name := range slices.Concat(Actions(), Conditions(), refused) {
		if !regexp.MustCompile("`" + regexp.QuoteMeta(name) + "[`:]").MatchString(text) {
			t.Errorf("%s is not documented", name)
		}
	}
	for name := range functions {
		if !strings.Contains(text, "${"+name+"[") {
			t.Errorf("${%s[…]} is not documented", name)
		}
	}
	var all []Rule
	for _, example := range regexp.MustCompile("(?m)(?:`|^)((error-|response-|final-)?(route[a-z-]*)) = ([^`\n]+)").FindAllStringSubmatch(text, -1) {
		stage := StageRequest
		for s := range Stage(routespec.Stages) {
			if example[2] == s.String()+"-" {
				stage = s
			}
		}
		rule := Rule{Stage: stage, Option: example[3], Value: strings.ReplaceAll(example[4], `\|`, "|")}
		if !strings.Contains(rule.Value, " ") && rule.Option != "route-label" && rule.Option != "route-run" || strings.HasPrefix(rule.Value, "4..") {
			continue // named in a sentence
		}
		all = append(all, rule)
	}
	all = append(all, Rule{Option: "route-label", Value: "public"})
	if _, wrong := CompileAll(all); len(wrong) > 0 || len(all) < 70 {
		t.Errorf("of %d examples: %v", len(all), wrong)
	}
}
