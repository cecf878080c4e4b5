package stats

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write what is found into the golden files")

// The document is read by tools that know uWSGI's: a change of the golden files has to be one that these bear.
func TestJSON(t *testing.T) {
	tests := []struct {
		name     string
		snapshot *Snapshot
		form     JSONForm
	}{
		{"full", sample(), JSONForm{}},
		{"minified", sample(), JSONForm{Minified: true}},
		{"no-cores", sample(), JSONForm{NoCores: true}},
		{"empty", &Snapshot{Version: "2.1.0", PID: 10, Dir: "/"}, JSONForm{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var text bytes.Buffer
			if err := test.snapshot.WriteJSON(&text, test.form); err != nil {
				t.Fatal(err)
			}
			name := "testdata/" + test.name + ".json"
			if *update {
				if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(text.Bytes(), want) {
				t.Errorf("%s wants\n%s\ngot\n%s", name, want, text.Bytes())
			}
		})
	}
}

func TestMinifiedJSONSaysTheSame(t *testing.T) {
	var documents [2]any
	for i, minified := range []bool{false, true} {
		var text bytes.Buffer
		if err := sample().WriteJSON(&text, JSONForm{Minified: minified}); err != nil {
			t.Fatal(err)
		}
		if minified == bytes.ContainsAny(bytes.TrimSpace(text.Bytes()), "\n\t") {
			t.Errorf("minified %v: %.40q", minified, text.Bytes())
		}
		if err := json.Unmarshal(text.Bytes(), &documents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(documents[0], documents[1]) {
		t.Errorf("%v\n%v", documents[0], documents[1])
	}
}
