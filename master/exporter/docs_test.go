package exporter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// table is what docs/metrics.md says of each metric.
func table() string {
	var text strings.Builder
	text.WriteString("| metric | type | labels | what it tells |\n|---|---|---|---|\n")
	for _, f := range families {
		labels := ""
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, f.help)
	}
	return text.String()
}

func TestTheDocumentationHasAllMetrics(t *testing.T) {
	const path, begin, end = "../../docs/metrics.md", "<!-- metrics -->\n", "<!-- end of metrics -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	there, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if there != table() {
		t.Errorf("%s is not what the families say: go test ./master/exporter -update writes it", path)
	}
}

var (
	selector = regexp.MustCompile(`\b((?:envoxyd|process)_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\bby ?\(([^)]*)\)`)
	shown    = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// expressions are all queries below a value of a dashboard, each with the legend beside it.
func expressions(value any) (all [][2]string) {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			all = append(all, expressions(one)...)
		}
	case map[string]any:
		legend, _ := value["legendFormat"].(string)
		for _, key := range []string{"expr", "query", "definition"} {
			if text, is := value[key].(string); is {
				all = append(all, [2]string{text, legend})
			}
		}
		for _, one := range value {
			all = append(all, expressions(one)...)
		}
	}
	return all
}

func TestDashboardsAskForWhatThereIs(t *testing.T) {
	known := map[string][]string{"process_resident_memory_bytes": nil, "process_cpu_seconds_total": nil, "process_open_fds": nil, "process_start_time_seconds": nil}
	for _, f := range families {
		if f.kind != "histogram" {
			known[f.name] = f.labels
			continue
		}
		for _, suffix := range []string{"_sum", "_count"} {
			known[f.name+suffix] = f.labels
		}
		known[f.name+"_bucket"] = append(slices.Clone(f.labels), "le")
	}
	paths, err := filepath.Glob("../../packaging/grafana/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no dashboards: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard any
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		asked := 0
		for _, one := range expressions(dashboard) {
			expression, legend := one[0], one[1]
			labels := []string{"job", "instance"}
			for _, found := range selector.FindAllStringSubmatch(expression, -1) {
				own, is := known[found[1]]
				if !is {
					t.Errorf("%s: there is no %s: %s", path, found[1], expression)
				}
				asked++
				labels = append(labels, own...)
			}
			for _, used := range matcher.FindAllStringSubmatch(strings.Join(selector.FindAllString(expression, -1), " "), -1) {
				if !slices.Contains(labels, used[1]) {
					t.Errorf("%s: nothing has a label %s: %s", path, used[1], expression)
				}
			}
			for _, group := range grouping.FindAllStringSubmatch(expression, -1) {
				for label := range strings.SplitSeq(group[1], ",") {
					if !slices.Contains(labels, strings.TrimSpace(label)) {
						t.Errorf("%s: nothing has a label %s: %s", path, label, expression)
					}
				}
			}
			for _, used := range shown.FindAllStringSubmatch(legend, -1) {
				if !slices.Contains(labels, used[1]) {
					t.Errorf("%s: nothing has a label %s: %s", path, used[1], legend)
				}
			}
		}
		if asked < 20 {
			t.Errorf("%s asks for %d metrics only", path, asked)
		}
	}
}
