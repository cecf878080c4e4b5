// Package static decides how a request is answered from the file system: with
// which file, which part of it and which header fields (uWSGI's --static-map and
// related options). It opens and examines files; the caller sends them.
package static

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"envoxyd/internal/staticspec"
)

// Server answers requests for files. It may be used by several goroutines.
type Server struct {
	options  staticspec.Options
	types    *staticspec.Types
	rules    *staticspec.Rules
	compress bool
	anyPath  bool // no prefix tells beforehand that there is no file
}

// New compiles the patterns and reads the files of MIME types.
func New(options staticspec.Options) (*Server, error) {
	rules, err := options.Compile()
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, types: staticspec.ReadTypes(options.MimeFiles), rules: rules}
	s.anyPath = len(options.Check) > 0 || options.DocumentRoot
	s.compress = options.CompressedAll || len(options.Compressed)+len(options.CompressedPrefixes)+len(options.CompressedSuffixes) > 0
	return s, nil
}

// Wants tells at almost no cost whether there can be a file for the path.
func (s *Server) Wants(path []byte) bool {
	if s.anyPath {
		return true
	}
	for i := range s.options.Maps {
		if _, below := cut(&s.options.Maps[i], path); below {
			return true
		}
	}
	for i := range s.options.WholeMaps {
		if _, below := cut(&s.options.WholeMaps[i], path); below {
			return true
		}
	}
	return false
}

// cut returns what follows the prefix, which ends where a segment of the path does.
func cut(m *staticspec.Map, path []byte) (rest []byte, below bool) {
	if len(path) < len(m.Prefix) || string(path[:len(m.Prefix)]) != m.Prefix {
		return nil, false
	}
	rest = path[len(m.Prefix):]
	return rest, len(rest) == 0 || rest[0] == '/' || strings.HasSuffix(m.Prefix, "/") || m.Prefix == ""
}

// Request is what a GET or HEAD request says that matters for a file.
type Request struct {
	Head              bool
	Path              []byte // PATH_INFO
	URI               []byte
	DocumentRoot      []byte
	AcceptEncoding    []byte
	IfMatch           []byte
	IfModifiedSince   []byte
	IfNoneMatch       []byte
	IfRange           []byte
	IfUnmodifiedSince []byte
	Range             []byte
	Now               time.Time
}

// Answer is a response that the application is not asked for.
type Answer struct {
	Status    int
	Header    []byte // field lines, each with its CRLF
	Fields    int
	File      int // descriptor, the caller's to close; -1: no body
	Offset    int64
	Size      int64  // of the body, bytes; 0 for HEAD
	Parts     []Part // of a body that is made of several, of which Offset says nothing: see Body
	Tail      string // what ends such a body
	Delimited bool   // the client can tell where the body ends
}

// Answer looks for the file. found is false when the application is to answer;
// an *OutsideError then says that a file was there, but out of bounds.
func (s *Server) Answer(r *Request) (a Answer, found bool, err error) {
	if bytes.IndexByte(r.Path, 0) >= 0 || s.skipped(r.Path) {
		return a, false, nil
	}
	f, err := s.find(r)
	if f == nil {
		return a, false, err
	}
	return s.answerWith(r, f)
}

// answerWith answers with the file, if this user may read it.
func (s *Server) answerWith(r *Request, f *file) (a Answer, found bool, err error) {
	defer f.close()
	a = s.answer(r, f)
	if a.Size > 0 {
		if a.File, err = f.open(); err != nil {
			return a, false, nil
		}
	}
	return a, true, nil
}

// At answers with the file at path, which must be root or below it, as Answer does.
func (s *Server) At(path, root string, r *Request) (a Answer, found bool, err error) {
	f, err := s.lookup(root, path, s.options.Index)
	if f == nil {
		return a, false, err
	}
	return s.answerWith(r, s.negotiate(r, root, f))
}

// Open opens the regular file at path, which must be root or below it. fd is the caller's; -1: there is none that this user may read.
func (s *Server) Open(path, root string) (fd int, size int64) {
	f, _ := s.lookup(root, path, nil)
	if f == nil {
		return -1, 0
	}
	defer f.close()
	fd, err := f.open()
	if err != nil {
		return -1, 0
	}
	return fd, f.size
}

// Type is the MIME type for a file's name; "" when there is none.
func (s *Server) Type(name string) string { return s.types.Of(name) }

func (s *Server) skipped(path []byte) bool {
	for _, suffix := range s.options.SkipSuffixes {
		if suffix != "" && len(path) >= len(suffix) && string(path[len(path)-len(suffix):]) == suffix {
			return true
		}
	}
	return false
}

// answer makes status and header for the file that was found.
func (s *Server) answer(r *Request, f *file) Answer {
	a := Answer{Status: 200, File: -1, Delimited: true}
	refused := f.precondition(r)
	if refused == 412 {
		a.Status = refused
		a.add("Content-Length", "0")
		return a
	}
	kind := s.types.Of(f.original)
	if at, some := s.expiry(r, f, kind); some {
		a.add("Expires", at.UTC().Format(dateFormat))
	}
	if refused == 304 { // RFC 9110, 15.4.5: what caches go by is said again
		a.Status = refused
		s.addVary(&a)
		return a
	}
	modified := f.mtime.UTC().Format(dateFormat)
	some := ranges{status: 200}
	if s.options.Ranges && len(r.Range) > 0 && !r.Head && s.options.Handoff == "" && ifRange(r.IfRange, modified) {
		some = parseRanges(r.Range, f.size)
	}
	if f.encoding != "" {
		if some.boundary != "" { // it would speak of all the parts together
			some = ranges{status: 200}
		}
		a.add("Content-Encoding", f.encoding)
	}
	switch {
	case some.boundary != "":
		a.add("Content-Type", "multipart/byteranges; boundary="+some.boundary)
	case kind != "":
		a.add("Content-Type", kind)
	}
	if s.options.Handoff != "" {
		a.add(s.options.Handoff, f.real)
		a.Delimited = false
		return a
	}
	a.Size = f.size
	a.Status = some.status
	switch {
	case some.status == 416:
		a.Size = 0
	case some.boundary != "":
		a.Parts, a.Tail = some.parts(kind, f.size)
		a.Size = int64(len(a.Tail))
		for _, p := range a.Parts {
			a.Size += int64(len(p.Head)) + p.Size
		}
	case len(some.spans) == 1:
		a.Offset, a.Size = some.spans[0].from, some.spans[0].size()
	}
	a.add("Content-Length", fmt.Sprint(a.Size))
	if contentRange := some.contentRange(f.size); contentRange != "" {
		a.add("Content-Range", contentRange)
	}
	a.add("Last-Modified", modified)
	s.addVary(&a)
	if r.Head {
		a.Size = 0
	}
	return a
}

func (s *Server) addVary(a *Answer) {
	if s.compress {
		a.add("Vary", "Accept-Encoding")
	}
}

func (a *Answer) add(name, value string) {
	a.Header = append(a.Header, name...)
	a.Header = append(a.Header, ": "...)
	a.Header = append(a.Header, value...)
	a.Header = append(a.Header, "\r\n"...)
	a.Fields++
}

// expiry is the time of the first rule that matches.
func (s *Server) expiry(r *Request, f *file, kind string) (at time.Time, some bool) {
	rule := firstMatch(s.rules.Expires, []byte(f.original))
	if rule == nil {
		rule = firstMatch(s.rules.ExpiresPathInfo, r.Path)
	}
	if rule == nil {
		rule = firstMatch(s.rules.ExpiresURI, r.URI)
	}
	for i := 0; rule == nil && i < len(s.options.ExpiresType); i++ {
		if e := &s.options.ExpiresType[i]; kind != "" && e.Pattern == kind {
			rule = e
		}
	}
	if rule == nil {
		return at, false
	}
	at = r.Now
	if rule.FromMtime {
		at = f.mtime
	}
	return at.Add(time.Duration(rule.Seconds) * time.Second), true
}

func firstMatch(rules []staticspec.Rule, text []byte) *staticspec.Expiry {
	for i := range rules {
		if rules[i].Match.Match(text) {
			return &rules[i].Expiry
		}
	}
	return nil
}
