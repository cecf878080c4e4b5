package uwsgiopts

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestConfigurationComesFromEverywhere(t *testing.T) {
	const text = "[uwsgi]\nx = 1\n[b]\nx = 2\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a.ini":
			fmt.Fprint(w, text)
		case "/moved.ini":
			http.Redirect(w, r, "/a.ini", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	pipe, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := writer.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	given, err := syscall.Dup(int(pipe.Fd())) // whoever reads it closes it
	if err != nil {
		t.Fatal(err)
	}
	dir := dirWith(t, map[string]string{"a.ini": text, "a:b.ini": text})
	tests := []struct{ ref, want string }{
		{"a.ini", "x=1"}, {"a.ini:b", "x=2"}, {"file://a.ini:b", "x=2"}, {dir + "/a.ini", "x=1"}, {"a:b.ini", "x=1"},
		{"-", "x=1"}, {"-:b", "x=2"}, {"fd://0:b", "x=2"}, {fmt.Sprintf("fd://%d", given), "x=1"},
		{"exec://cat a.ini", "x=1"}, {"exec://cat ./a.ini; false:b", "x=2"}, {"exec://cat ./a.ini:b", "x=2"},
		{server.URL + "/a.ini", "x=1"}, {server.URL + "/a.ini:b", "x=2"}, {server.URL + "/gone.ini", "error"}, {server.URL + "/moved.ini", "error"},
		{"sym://x", "error"}, {"fd://x", "error"}, {"", "error"}, {".", "error"},
	}
	for _, tt := range tests {
		t.Run(tt.ref, func(t *testing.T) {
			cfg, err := Parse([]string{"--ini", tt.ref}, nil, ParseOptions{Args0: "uwsgi", Dir: dir, Stdin: strings.NewReader(text)})
			got := "error"
			if err == nil {
				got = strings.TrimPrefix(strings.TrimPrefix(pairsOf(cfg), "ini="+tt.ref), "|")
			}
			if got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// Files that include each other must end, also when each one includes the next twice.
func TestIncludesEnd(t *testing.T) {
	var branching strings.Builder
	branching.WriteString("[uwsgi]\nini = :s0\n")
	for i := range 40 {
		fmt.Fprintf(&branching, "[s%d]\nini = :s%d\nini = :s%d\n", i, i+1, i+1)
	}
	files := map[string]string{
		"self.ini":      "[uwsgi]\nini = self.ini\n",
		"a.ini":         "[uwsgi]\ninclude = b.ini\n",
		"b.ini":         "[uwsgi]\ninclude = a.ini\n",
		"section.ini":   "[uwsgi]\nini = :uwsgi\n",
		"inherit.ini":   "[uwsgi]\ninherit = inherit.ini\n",
		"branching.ini": branching.String(),
		"same.ini":      "[uwsgi]\nini = :x\nini = :x\n[x]\ny = 1\n",
	}
	for name := range files {
		_, _, err := parseIn(t, files, nil, "--ini", name)
		if (err == nil) != (name == "same.ini") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
