package staticspec

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestTypes(t *testing.T) {
	root := t.TempDir()
	text := "# comment\ntext/plain txt  text # rest\ntext/html html\napplication/x-late txt\n"
	if err := os.WriteFile(filepath.Join(root, "types"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	types := ReadTypes([]string{root + "/types", root + "/none"})
	if got := fmt.Sprint(types.Files); got != fmt.Sprintf("[{%s/types 4} {%s/none -1}]", root, root) {
		t.Errorf("got %s", got)
	}
	for name, want := range map[string]string{"a.txt": "text/plain", "a.HTML": "text/html", "a.none": "", "txt": ""} {
		if got := types.Of(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
