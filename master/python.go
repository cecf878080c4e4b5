package master

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"envoxyd/uwsgiopts"
)

// findPython chooses the interpreter: --home's, $VIRTUAL_ENV's, the one beside
// this executable, the one on PATH.
func findPython(cfg *uwsgiopts.Config) (string, error) {
	if cfg.Home != "" {
		home := absolute(cfg.StartDir, cfg.Home)
		if info, err := os.Stat(home); err != nil || !info.IsDir() {
			return "", fmt.Errorf("home/virtualenv %s: there is no such directory", cfg.Home)
		}
		if python := pythonIn(filepath.Join(home, "bin")); python != "" {
			return python, nil
		}
		return "", fmt.Errorf("home/virtualenv %s: there is no bin/python3 in it", cfg.Home)
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		if python := pythonIn(filepath.Join(venv, "bin")); python != "" {
			return python, nil
		}
	}
	if executable, err := os.Executable(); err == nil {
		if python := pythonIn(filepath.Dir(executable)); python != "" {
			return python, nil
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python found: give --virtualenv, or put python3 on PATH: %w", err)
	}
	return python, nil
}

func pythonIn(bin string) string {
	for _, name := range []string{"python3", "python"} {
		path := filepath.Join(bin, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}
