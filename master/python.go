package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// findPython chooses the interpreter, and logs which places with a broken one it has passed over.
func findPython(cfg *uwsgiopts.Config) (string, error) {
	python, notices, err := choosePython(cfg)
	for _, notice := range notices {
		logf("%s", notice)
	}
	return python, err
}

// choosePython tries --home's, the one beside --py-programname or --binary-path, $VIRTUAL_ENV's, the one beside
// this executable, and the one on PATH. Only --home insists on its own.
func choosePython(cfg *uwsgiopts.Config) (python string, notices []string, err error) {
	if cfg.Home != "" {
		python, err = pythonOfHome(paths.In(cfg.StartDir, cfg.Home))
		if err != nil {
			err = fmt.Errorf("home/virtualenv %s: %w", cfg.Home, err)
		}
		return python, nil, err
	}
	for _, place := range pythonPlaces(cfg) {
		python, err := pythonIn(place.bin)
		if err == nil {
			return python, notices, nil
		}
		if !errors.Is(err, errNoPython) {
			notices = append(notices, fmt.Sprintf("%s: %v", place.source, err))
		}
	}
	if python, err = exec.LookPath("python3"); err != nil {
		return "", notices, fmt.Errorf("no Python found: give --virtualenv, or put python3 on PATH: %w", err)
	}
	return python, notices, nil
}

// pythonPlace is a directory that may hold an interpreter, and what has named it.
type pythonPlace struct{ source, bin string }

func pythonPlaces(cfg *uwsgiopts.Config) (places []pythonPlace) {
	// Python finds its venv by the path of its program: the option's, else the server's.
	source, program := "py-programname", cfg.PyProgramname
	if program == "" {
		source, program = "binary-path", cfg.BinaryPath
	}
	if strings.Contains(program, "/") {
		places = append(places, pythonPlace{source + " " + program, filepath.Dir(paths.In(cfg.StartDir, program))})
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		places = append(places, pythonPlace{"VIRTUAL_ENV " + venv, filepath.Join(venv, "bin")})
	}
	if executable, err := os.Executable(); err == nil {
		places = append(places, pythonPlace{"beside " + executable, filepath.Dir(executable)})
	}
	return places
}

func pythonOfHome(home string) (string, error) {
	info, err := os.Stat(home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("there is no such directory")
	case err != nil:
		return "", fmt.Errorf("it cannot be read: %w", reasonAlone(err))
	case !info.IsDir():
		return "", errors.New("it is not a directory")
	}
	return pythonIn(filepath.Join(home, "bin"))
}

var errNoPython = errors.New("there is no bin/python3 in it")

// pythonIn returns the interpreter of a bin directory. The error says what is wrong with
// the one that is there, or is errNoPython.
func pythonIn(bin string) (string, error) {
	reason := errNoPython
	for _, name := range []string{"python3", "python"} {
		path := filepath.Join(bin, name)
		err := executable(path)
		if err == nil {
			return path, nil
		}
		if reason == errNoPython && !errors.Is(err, errNoPython) {
			reason = fmt.Errorf("%s %w", path, err)
		}
	}
	return "", reason
}

// executable says why a file cannot be executed by this process's user.
func executable(path string) error {
	target, linkErr := os.Readlink(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && linkErr == nil:
		return fmt.Errorf("is a link to %s, which does not exist", target)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return errNoPython
	case err == nil && info.IsDir():
		return errors.New("is a directory")
	case err == nil && info.Mode()&0o111 == 0:
		return errors.New("is not executable: nobody may execute it")
	case err == nil:
		err = unix.Access(path, unix.X_OK)
	}
	switch {
	case err == nil:
		return nil
	case linkErr == nil:
		return fmt.Errorf("is a link to %s, which cannot be executed: %w", target, reasonAlone(err))
	}
	return fmt.Errorf("cannot be executed: %w", reasonAlone(err))
}

// reasonAlone takes the path off an error, and names the user where rights are missing.
func reasonAlone(err error) error {
	var detail *fs.PathError
	if errors.As(err, &detail) {
		err = detail.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (uid %d, gid %d)", err, os.Getuid(), os.Getgid())
	}
	return err
}
