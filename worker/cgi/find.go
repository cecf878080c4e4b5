package cgi

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
)

// Program is what answers a request.
type Program struct {
	File     string // absolute: what is run, or what the helper is given
	Helper   string // --cgi-helper: runs File; "": File runs by itself
	Dir      string // that it starts in; "": the worker's
	Root     string // the mapped directory: DOCUMENT_ROOT where the request has none
	Name     string // SCRIPT_NAME
	PathInfo string // what follows it in the path
	Single   bool   // a file is mapped, not a directory
}

// RefusedError is a path that no program answers.
type RefusedError struct {
	Status   int    // of the answer: 301, 403 or 404
	Location string // of a 301
	Reason   string // for the log; "": it needs no line
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%d %s", e.Status, e.Reason) }

// Server finds programs. It may be used by several goroutines.
type Server struct {
	options workerspec.CGI
	maps    []workerspec.CGIMap // the longest prefix first
}

// New returns a server for the options.
func New(options workerspec.CGI) *Server {
	s := &Server{options: options, maps: slices.Clone(options.Maps)}
	slices.SortStableFunc(s.maps, func(a, b workerspec.CGIMap) int { return len(b.Prefix) - len(a.Prefix) })
	return s
}

// Find returns the program for a path, or a *RefusedError. docroot is the request's DOCUMENT_ROOT.
func (s *Server) Find(pathInfo, docroot string) (*Program, error) {
	if strings.ContainsRune(pathInfo, 0) {
		return nil, &RefusedError{Status: 404}
	}
	for _, m := range s.maps {
		if rest, below := cut(m.Prefix, pathInfo); below {
			return s.under(m.Path, strings.TrimSuffix(m.Prefix, "/"), rest)
		}
	}
	if s.options.DocumentRoot && path.IsAbs(docroot) && !strings.ContainsRune(docroot, 0) {
		return s.under(docroot, "", pathInfo)
	}
	return nil, &RefusedError{Status: 404}
}

// cut returns what follows the prefix, which ends where a segment of the path does.
func cut(prefix, pathInfo string) (rest string, below bool) {
	rest, below = strings.CutPrefix(pathInfo, strings.TrimSuffix(prefix, "/"))
	return rest, below && (rest == "" || rest[0] == '/')
}

// under looks for the program that rest, a path, leads to from root, which may be a program itself.
func (s *Server) under(root, name, rest string) (*Program, error) {
	p := &Program{File: root, Root: root, Name: name}
	switch mode, err := modeOf(root); {
	case err != nil:
		return nil, err
	case mode.IsRegular():
		p.Root, p.PathInfo, p.Single = path.Dir(root), rest, true
		return s.choose(p)
	case rest == "":
		return nil, redirect(name)
	}
	for rest != "" {
		slashes := len(rest) - len(strings.TrimLeft(rest, "/"))
		segment, _, _ := strings.Cut(rest[slashes:], "/")
		rest = rest[slashes+len(segment):]
		switch segment {
		case "", ".":
			continue
		case "..":
			return nil, &RefusedError{Status: 404}
		}
		p.File, p.Name = p.File+"/"+segment, p.Name+"/"+segment
		mode, err := modeOf(p.File)
		switch {
		case err != nil:
			return nil, err
		case mode.IsRegular():
			p.PathInfo = rest
			return s.choose(p)
		case !mode.IsDir():
			return nil, &RefusedError{Status: 404}
		case rest == "":
			return nil, redirect(p.Name)
		}
	}
	for _, index := range s.options.Index {
		if mode, err := modeOf(p.File + "/" + index); err == nil && mode.IsRegular() {
			p.File, p.Name = p.File+"/"+index, p.Name+"/"+index
			return s.choose(p)
		}
	}
	return nil, &RefusedError{Status: 404}
}

// redirect asks for the directory by its name with a slash, which relative links need.
func redirect(name string) error {
	return &RefusedError{Status: 301, Location: (&url.URL{Path: name + "/"}).EscapedPath()}
}

// modeOf says what there is by that name, links followed.
func modeOf(name string) (fs.FileMode, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil:
		return info.Mode(), nil
	case errors.Is(err, fs.ErrPermission):
		return 0, &RefusedError{Status: 403, Reason: err.Error()}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return 0, &RefusedError{Status: 404}
	}
	return 0, &RefusedError{Status: 404, Reason: err.Error()}
}

// choose completes a program that was found, if it may be run.
func (s *Server) choose(p *Program) (*Program, error) {
	real, err := filepath.EvalSymlinks(p.File)
	if err != nil {
		return nil, &RefusedError{Status: 404, Reason: err.Error()}
	}
	if !p.Single && !s.allowed(p.Root, real) {
		return nil, &RefusedError{Status: 403, Reason: fmt.Sprintf("CGI security error: %s is not under %s", real, p.Root)}
	}
	if !s.options.KeepLinks {
		p.File = real
	}
	if len(s.options.AllowedSuffixes) > 0 && !slices.ContainsFunc(s.options.AllowedSuffixes, func(suffix string) bool { return hasSuffix(p.File, suffix) }) {
		return nil, &RefusedError{Status: 403}
	}
	if !p.Single { // that of a mapped file starts where the worker is, as under uWSGI
		p.Dir = path.Dir(p.File)
	}
	for _, helper := range s.options.Helpers {
		if hasSuffix(p.File, helper.Suffix) {
			p.Helper = helper.Program
			return p, nil
		}
	}
	if err := unix.Faccessat(unix.AT_FDCWD, p.File, unix.X_OK, unix.AT_EACCESS); err != nil {
		return nil, &RefusedError{Status: 403, Reason: fmt.Sprintf("CGI: %s cannot be run: %v", p.File, err)}
	}
	return p, nil
}

func hasSuffix(name, suffix string) bool {
	return len(name) >= len(suffix) && strings.EqualFold(name[len(name)-len(suffix):], suffix)
}

// allowed tells whether the file real is below the mapped directory or one that links may lead to.
func (s *Server) allowed(root, real string) bool {
	for _, dir := range append([]string{root}, s.options.Safe...) {
		if dir, err := filepath.EvalSymlinks(dir); err == nil && (real == dir || strings.HasPrefix(real, strings.TrimSuffix(dir, "/")+"/")) {
			return true
		}
	}
	return false
}
