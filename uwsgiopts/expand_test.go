package uwsgiopts

import "testing"

func TestVariables(t *testing.T) {
	environ := []string{"A=1", "EMPTY=", "a b=2"}
	for given, want := range map[string]string{
		"$(A)": "1", "$(A-x)": "1", "$(A:-x)": "1", "$(NONE)": "$(NONE)", "$(NONE-x)": "x", "$(NONE:-x y-z)": "x y-z", "$(NONE-)": "",
		"$(EMPTY-x)": "", "$(EMPTY:-x)": "x", "$(a b)": "2", "$A ${A}": "$A ${A}",
		"kill $(id -u) $(cat a-b)": "kill $(id -u) $(cat a-b)", "$(-x)": "$(-x)", "$(1-x)": "$(1-x)",
	} {
		cfg, err := Parse([]string{"--set", "x=" + given}, environ, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range cfg.Pairs {
			if p.Name == "x" && p.Value != want {
				t.Errorf("%s: %q, want %q", given, p.Value, want)
			}
		}
	}
}
