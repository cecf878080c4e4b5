package master

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"envoxyd/uwsgiopts"
)

// TestWhereTheSocketOfAServiceComesFrom: it is that of envoxy.json only where no other one is named or given.
func TestWhereTheSocketOfAServiceComesFrom(t *testing.T) {
	dir := t.TempDir()
	document := `{"modules": [], "boot": [{"http": {"bind": "127.0.0.1:18080"}}]}`
	if err := os.MkdirAll(filepath.Join(dir, "jail", dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "envoxy.json"), filepath.Join(dir, "jail", dir, "inside.json")} {
		if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.json"), []byte(`{"boot": [`), 0o644); err != nil {
		t.Fatal(err)
	}
	var unreadable unreadableService
	for name, c := range map[string]struct {
		conf, root string
		given      bool
		module     string
		sockets    int
		unreadable bool
	}{
		"named by the file":                 {conf: "envoxy.json", module: "run:app", sockets: 1},
		"systemd's, or standard input":      {conf: "envoxy.json", module: "run:app", given: true},
		"before the root is changed":        {conf: "inside.json", root: filepath.Join(dir, "jail"), module: "run:app", sockets: 1},
		"within the new root":               {conf: "envoxy.json", module: "run:app", sockets: 1},
		"a file that cannot be read":        {conf: "broken.json", module: "run:app", unreadable: true},
		"the same, of another application":  {conf: "broken.json", module: "own:app"},
		"a file of the application's alone": {conf: "none.json", module: "own:app"},
	} {
		cfg := &uwsgiopts.Config{StartDir: dir, Conf: c.conf, Modules: []string{c.module}, Profile: true}
		err := bindOfService(cfg, c.root, c.given)
		if errors.As(err, &unreadable) != c.unreadable || err != nil && !c.unreadable || len(cfg.Sockets) != c.sockets {
			t.Errorf("%s: %d sockets, %v", name, len(cfg.Sockets), err)
		}
	}
}
