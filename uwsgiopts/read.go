package uwsgiopts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"envoxyd/internal/httpget"
)

const (
	maxText      = 64 << 20 // bytes of one configuration text
	fetchTimeout = 30 * time.Second
)

// read returns the text of a file name, "-", or one of uWSGI's schemes.
func (p *parser) read(name string) (string, error) {
	if name == "-" {
		return p.readStdin()
	}
	scheme, rest, found := strings.Cut(name, "://")
	if !found {
		return p.readFile(name)
	}
	switch scheme {
	case "file":
		return p.readFile(rest)
	case "fd":
		return p.readDescriptor(rest)
	case "exec":
		return p.readCommand(rest)
	case "http":
		return fetch(name)
	case "emperor":
		return p.readEmperor(name)
	case "data", "sym", "section", "call", "callint":
		return "", fmt.Errorf("cannot read %s: %s:// is not supported", name, scheme)
	}
	return p.readFile(name)
}

// path makes a relative name absolute.
func (p *parser) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.opts.Dir, name)
}

func (p *parser) exists(name string) bool {
	_, err := os.Stat(p.path(name))
	return err == nil
}

func (p *parser) readFile(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("the name of a file is missing: %w", cError{syscall.ENOENT})
	}
	text, err := os.ReadFile(p.path(name))
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, inCWords(err))
	}
	return string(text), nil
}

func (p *parser) readStdin() (string, error) {
	if p.opts.Stdin == nil {
		return "", nil
	}
	return readLimited("standard input", p.opts.Stdin)
}

func (p *parser) readDescriptor(number string) (string, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		return "", fmt.Errorf("cannot read fd://%s: not a descriptor number", number)
	}
	if n == 0 {
		return p.readStdin()
	}
	f := os.NewFile(uintptr(n), "fd://"+number)
	defer f.Close()
	return readLimited("fd://"+number, f)
}

// readEmperor asks the emperor that has started this process.
func (p *parser) readEmperor(name string) (string, error) {
	if p.opts.Emperor == nil {
		return "", fmt.Errorf("cannot read %s: no emperor has started this process", name)
	}
	text, err := p.opts.Emperor()
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, err)
	}
	return text, nil
}

// readCommand runs a shell command; its exit status does not matter, as in uWSGI.
func (p *parser) readCommand(command string) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir = p.opts.Dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return "", fmt.Errorf("cannot run %q: %w", command, err)
	}
	return string(out), nil
}

// fetch reads over HTTP; redirects are not followed.
func fetch(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	reply, err := httpget.Get(ctx, httpget.Request{URL: url, UserAgent: "uWSGI on " + host, MaxBody: maxText})
	switch {
	case errors.Is(err, httpget.ErrLarge):
		return "", fmt.Errorf("cannot read %s: more than %d bytes", url, maxText)
	case err != nil:
		return "", fmt.Errorf("cannot read %s: %w", url, err)
	case reply.Status/100 != 2:
		return "", fmt.Errorf("cannot read %s: the server answered %s", url, reply.Text())
	}
	return string(reply.Body), nil
}

func readLimited(name string, r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("cannot read %s: more than %d bytes", name, maxText)
	}
	return string(text), nil
}

// cError is a system error in the words of strerror(3), which people search logs for.
type cError struct{ syscall.Errno }

// Error begins with a capital, as in C.
func (e cError) Error() string {
	s := e.Errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// Unwrap returns the errno, so that errors.Is finds fs.ErrNotExist and the like.
func (e cError) Unwrap() error { return e.Errno }

// inCWords reduces a path error to its reason: the message names the file already.
func inCWords(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return cError{no}
	}
	return err
}
