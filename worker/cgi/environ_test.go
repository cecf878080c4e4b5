package cgi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
)

func block(pairs ...string) (b []byte) {
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		b = uwsgi.AppendVar(b, name, value)
	}
	return b
}

func TestEnviron(t *testing.T) {
	in := &Program{File: "/srv/bin/a.sh", Root: "/srv/bin", Name: "/cgi/a.sh"}
	behind := &Program{File: "/srv/bin/a.sh", Root: "/srv/bin", Name: "/cgi/a.sh", PathInfo: "/x"}
	single := &Program{File: "/srv/bin/a.sh", Root: "/srv/bin", Name: "/one", Single: true}
	for name, c := range map[string]struct {
		program *Program
		base    []string
		request []byte
		body    Body
		options workerspec.CGI
		want    []string // NAME=VALUE that is there, or NAME that is not
	}{
		"what every program gets": {program: in, body: NoBody, want: []string{"GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=envoxyd/1", "SCRIPT_NAME=/cgi/a.sh",
			"SCRIPT_FILENAME=/srv/bin/a.sh", "DOCUMENT_ROOT=/srv/bin", "QUERY_STRING=", "REDIRECT_STATUS=200", "PATH_INFO", "PATH_TRANSLATED", "CONTENT_LENGTH", "CONTENT_TYPE"}},
		"a path behind":           {program: behind, body: NoBody, want: []string{"PATH_INFO=/x", "PATH_TRANSLATED=/srv/bin/x"}},
		"below the document root": {program: behind, body: NoBody, request: block("DOCUMENT_ROOT=/www/"), want: []string{"DOCUMENT_ROOT=/www/", "PATH_TRANSLATED=/www/x"}},
		"a program of its own":    {program: single, body: NoBody, want: []string{"PATH_INFO=", "PATH_TRANSLATED=/srv/bin/a.sh", "SCRIPT_NAME=/one"}},
		"the request's variables": {program: in, body: NoBody, request: block("REQUEST_METHOD=GET", "HTTP_X=a=b", "QUERY_STRING=q"), want: []string{"REQUEST_METHOD=GET", "HTTP_X=a=b", "QUERY_STRING=q"}},
		"the path of the request": {program: in, body: NoBody, request: block("PATH_INFO=/cgi/a.sh", "SCRIPT_NAME=/foo"), want: []string{"PATH_INFO", "SCRIPT_NAME=/cgi/a.sh"}},
		"the server's own":        {program: in, body: NoBody, base: []string{"HOME=/root", "PATH_INFO=/old", "DOCUMENT_ROOT=/old", "CONTENT_TYPE=old/old"}, request: block("CONTENT_TYPE="), want: []string{"HOME=/root", "PATH_INFO", "DOCUMENT_ROOT=/srv/bin", "CONTENT_TYPE"}},
		"httpoxy":                 {program: in, body: NoBody, request: block("HTTP_PROXY=evil"), want: []string{"HTTP_PROXY"}},
		"the loader":              {program: in, body: NoBody, request: block("LD_PRELOAD=/tmp/x.so"), want: []string{"LD_PRELOAD"}},
		"a coding that is undone": {program: in, body: 0, request: block("HTTP_TRANSFER_ENCODING=chunked"), want: []string{"HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH=0"}},
		"names that are none":     {program: in, body: NoBody, request: block("A-B=1", "9A=1", "A B=1", "É=1"), want: []string{"A-B", "9A", "A B", "É"}},
		"a body":                  {program: in, body: 7, request: block("CONTENT_LENGTH=9", "CONTENT_TYPE=a/b"), want: []string{"CONTENT_LENGTH=7", "CONTENT_TYPE=a/b"}},
		"none, as nginx says":     {program: in, body: NoBody, request: block("CONTENT_LENGTH=", "CONTENT_TYPE="), want: []string{"CONTENT_LENGTH", "CONTENT_TYPE"}},
		"what is not to be there": {program: in, body: NoBody, base: []string{"SECRET=1", "KEPT=2"}, options: workerspec.CGI{Unset: []string{"SECRET", "HTTP_X"}}, request: block("HTTP_X=1"), want: []string{"SECRET", "HTTP_X", "KEPT=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := New(c.options).Environ(c.base, c.request, c.program, c.body, "envoxyd/1")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				name, _, there := strings.Cut(want, "=")
				found := slices.Contains(env, want)
				if !there {
					found = !slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
				}
				if !found {
					t.Errorf("want %s in\n%s", want, strings.Join(env, "\n"))
				}
			}
		})
	}
	if _, err := New(workerspec.CGI{}).Environ(nil, block("HTTP_X=a\x00b"), in, NoBody, ""); !errors.Is(err, ErrNUL) {
		t.Errorf("a NUL: %v", err)
	}
}
