package cgi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
)

// site makes a directory of programs and returns its name, which has no links in it.
func site(t testing.TB) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{
		"bin/a.sh": 0o755, "bin/b.pl": 0o644, "bin/C.PL": 0o644, "bin/plain.txt": 0o755, "bin/noexec.sh": 0o644, "bin/sub/index.sh": 0o755,
		"bin/sub dir/x.sh": 0o755, "bin/nph-x.sh": 0o755, "out/secret.sh": 0o755, "bin2/sibling.sh": 0o755, "bin/empty/deep/x.sh": 0o755,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"bin/in.sh": "a.sh", "bin/leak.sh": "../out/secret.sh", "bin/up": "..", "bin/beside": "../bin2", "cur": "bin"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "bin/fifo.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// told is what Find says, in a line.
func told(root string, p *Program, err error) string {
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return strings.TrimSpace(fmt.Sprint(refused.Status, " ", refused.Location))
	case err != nil:
		return err.Error()
	}
	text := fmt.Sprintf("%s name=%s info=%s", strings.TrimPrefix(p.File, root+"/"), p.Name, p.PathInfo)
	if p.Helper != "" {
		text += " by " + p.Helper
	}
	return text
}

func TestFind(t *testing.T) {
	root := site(t)
	at := func(prefix, path string) workerspec.CGIMap {
		return workerspec.CGIMap{Prefix: prefix, Path: filepath.Join(root, path)}
	}
	one := workerspec.CGI{Maps: []workerspec.CGIMap{at("/cgi", "bin")}}
	with := func(change func(o *workerspec.CGI)) workerspec.CGI { o := one; change(&o); return o }
	for name, c := range map[string]struct {
		options workerspec.CGI
		path    string
		want    string
	}{
		"a program":                   {one, "/cgi/a.sh", "bin/a.sh name=/cgi/a.sh info="},
		"with a path behind":          {one, "/cgi/a.sh/x/y", "bin/a.sh name=/cgi/a.sh info=/x/y"},
		"with slashes behind":         {one, "/cgi/a.sh//", "bin/a.sh name=/cgi/a.sh info=//"},
		"dots behind are its own":     {one, "/cgi/a.sh/../x", "bin/a.sh name=/cgi/a.sh info=/../x"},
		"slashes and dots between":    {one, "/cgi//./a.sh", "bin/a.sh name=/cgi/a.sh info="},
		"below":                       {one, "/cgi/empty/deep/x.sh", "bin/empty/deep/x.sh name=/cgi/empty/deep/x.sh info="},
		"another path":                {one, "/other", "404"},
		"a prefix ends at a segment":  {one, "/cgiX/a.sh", "404"},
		"none of that name":           {one, "/cgi/none.sh/x", "404"},
		"a very long name":            {one, "/cgi/" + strings.Repeat("x", 300), "404"},
		"a NUL":                       {one, "/cgi/a.sh\x00", "404"},
		"up":                          {one, "/cgi/../out/secret.sh", "404"},
		"up and down":                 {one, "/cgi/sub/../a.sh", "404"},
		"out by a link":               {one, "/cgi/leak.sh", "403"},
		"out by a linked directory":   {one, "/cgi/up/out/secret.sh", "403"},
		"the sibling of a directory":  {one, "/cgi/beside/sibling.sh", "403"},
		"out and in again":            {one, "/cgi/up/bin/a.sh", "bin/a.sh name=/cgi/up/bin/a.sh info="},
		"a link inside":               {one, "/cgi/in.sh", "bin/a.sh name=/cgi/in.sh info="},
		"a pipe":                      {one, "/cgi/fifo.sh", "404"},
		"not executable":              {one, "/cgi/noexec.sh", "403"},
		"a directory without a slash": {one, "/cgi/sub", "301 /cgi/sub/"},
		"the root without a slash":    {one, "/cgi", "301 /cgi/"},
		"what a redirect escapes":     {one, "/cgi/sub dir", "301 /cgi/sub%20dir/"},
		"a redirect stays here":       {one, "/cgi//sub", "301 /cgi/sub/"},
		"a directory without index":   {one, "/cgi/sub/", "404"},
		"an index":                    {with(func(o *workerspec.CGI) { o.Index = []string{"none", "index.sh"} }), "/cgi/sub/", "bin/sub/index.sh name=/cgi/sub/index.sh info="},
		"no index":                    {with(func(o *workerspec.CGI) { o.Index = []string{"index.sh"} }), "/cgi/empty/", "404"},
		"an index out of it":          {with(func(o *workerspec.CGI) { o.Index = []string{"leak.sh"} }), "/cgi/", "403"},
		"where links may lead":        {with(func(o *workerspec.CGI) { o.Safe = []string{root + "/out"} }), "/cgi/leak.sh", "out/secret.sh name=/cgi/leak.sh info="},
		"where they may not":          {with(func(o *workerspec.CGI) { o.Safe = []string{root + "/ou"} }), "/cgi/leak.sh", "403"},
		"by the link's name":          {with(func(o *workerspec.CGI) { o.KeepLinks = true }), "/cgi/in.sh", "bin/in.sh name=/cgi/in.sh info="},
		"by the link's name, out":     {with(func(o *workerspec.CGI) { o.KeepLinks = true }), "/cgi/leak.sh", "403"},
		"an allowed suffix":           {with(func(o *workerspec.CGI) { o.AllowedSuffixes = []string{".pl", ".SH"} }), "/cgi/a.sh", "bin/a.sh name=/cgi/a.sh info="},
		"another suffix":              {with(func(o *workerspec.CGI) { o.AllowedSuffixes = []string{".sh"} }), "/cgi/plain.txt", "403"},
		"a helper":                    {with(func(o *workerspec.CGI) { o.Helpers = []workerspec.CGIHelper{{Suffix: ".pl", Program: "perl"}} }), "/cgi/C.PL/i", "bin/C.PL name=/cgi/C.PL info=/i by perl"},
		"a helper of others":          {with(func(o *workerspec.CGI) { o.Helpers = []workerspec.CGIHelper{{Suffix: ".py", Program: "py"}} }), "/cgi/b.pl", "403"},
		"one program":                 {workerspec.CGI{Maps: []workerspec.CGIMap{at("/one", "bin/a.sh")}}, "/one/x/y", "bin/a.sh name=/one info=/x/y"},
		"one program, nothing behind": {workerspec.CGI{Maps: []workerspec.CGIMap{at("/one", "bin/a.sh")}}, "/one", "bin/a.sh name=/one info="},
		"one program, not beside":     {workerspec.CGI{Maps: []workerspec.CGIMap{at("/one", "bin/a.sh")}}, "/onemore", "404"},
		"one program may be a link":   {workerspec.CGI{Maps: []workerspec.CGIMap{at("/one", "bin/leak.sh")}}, "/one", "out/secret.sh name=/one info="},
		"one program for all":         {workerspec.CGI{Maps: []workerspec.CGIMap{at("", "bin/a.sh")}}, "/x", "bin/a.sh name= info=/x"},
		"all paths":                   {workerspec.CGI{Maps: []workerspec.CGIMap{at("", "bin")}}, "/a.sh", "bin/a.sh name=/a.sh info="},
		"all paths, none":             {workerspec.CGI{Maps: []workerspec.CGIMap{at("", "bin")}}, "", "301 /"},
		"the longest prefix":          {workerspec.CGI{Maps: []workerspec.CGIMap{at("", "bin"), at("/s", "bin/sub"), at("/s/t", "out")}}, "/s/t/secret.sh", "out/secret.sh name=/s/t/secret.sh info="},
		"a prefix with a slash":       {workerspec.CGI{Maps: []workerspec.CGIMap{at("/s/", "bin")}}, "/s/a.sh", "bin/a.sh name=/s/a.sh info="},
		"a directory that is a link":  {workerspec.CGI{Maps: []workerspec.CGIMap{at("/s", "cur")}}, "/s/a.sh", "bin/a.sh name=/s/a.sh info="},
		"a directory that has gone":   {workerspec.CGI{Maps: []workerspec.CGIMap{at("/s", "gone")}}, "/s/a.sh", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(c.options).Find(c.path, root+"/bin")
			if got := told(root, p, err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFindInDocumentRoot(t *testing.T) {
	root := site(t)
	s := New(workerspec.CGI{DocumentRoot: true})
	for docroot, want := range map[string]string{root + "/bin": "bin/a.sh name=/a.sh info=", "": "404", "bin": "404", root + "/bin\x00": "404"} {
		p, err := s.Find("/a.sh", docroot)
		if got := told(root, p, err); got != want {
			t.Errorf("%q: got %s, want %s", docroot, got, want)
		}
	}
}

func TestWhereAProgramStarts(t *testing.T) {
	root := site(t)
	s := New(workerspec.CGI{Maps: []workerspec.CGIMap{{Prefix: "/d", Path: root + "/bin"}, {Prefix: "/one", Path: root + "/bin/a.sh"}}})
	for path, want := range map[string]string{"/d/sub/index.sh": root + "/bin/sub", "/one": ""} {
		if p, err := s.Find(path, ""); err != nil || p.Dir != want {
			t.Errorf("%s: %+v, %v", path, p, err)
		}
	}
}

// Whatever is asked for: what is run is below the mapped directory.
func FuzzFind(f *testing.F) {
	root := site(f)
	s := New(workerspec.CGI{Maps: []workerspec.CGIMap{{Prefix: "/cgi", Path: root + "/bin"}, {Path: root + "/bin/sub"}}, Index: []string{"index.sh"}})
	for _, path := range []string{"/cgi/a.sh", "/cgi/../out/secret.sh", "/cgi/leak.sh", "/cgi/up/out/secret.sh", "/index.sh/x", "/", "//", "/cgi/./sub/"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := s.Find(path, "")
		if err != nil {
			return
		}
		if real, err := filepath.EvalSymlinks(p.File); err != nil || !strings.HasPrefix(real, root+"/bin/") {
			t.Fatalf("%q runs %s (%v)", path, real, err)
		}
		if p.PathInfo != "" && p.PathInfo[0] != '/' {
			t.Fatalf("%q: PATH_INFO %q", path, p.PathInfo)
		}
	})
}
