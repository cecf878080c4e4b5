package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrorPages(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	page, huge := file("page", "<h1>"), file("huge", strings.Repeat("x", maxErrorPage+1))
	const text = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/"
	for name, c := range map[string]struct {
		pages []string
		more  string
		head  bool
		want  string
	}{
		"none":                  {nil, "", false, text + "plain\r\nContent-Length: 9\r\n\r\nNot Found"},
		"one":                   {[]string{page}, "", false, text + "html\r\nContent-Length: 4\r\n\r\n<h1>"},
		"the first that serves": {[]string{dir + "/none", dir, pipe, huge, page}, "", false, text + "html\r\nContent-Length: 4\r\n\r\n<h1>"},
		"none that serves":      {[]string{pipe, huge}, "", false, text + "plain\r\nContent-Length: 9\r\n\r\nNot Found"},
		"HEAD":                  {[]string{page}, "", true, text + "html\r\nContent-Length: 4\r\n\r\n"},
		"another field":         {nil, "X: y\r\n", true, text + "plain\r\nContent-Length: 9\r\nX: y\r\n\r\n"},
	} {
		got, size, _ := errorPages{404: c.pages}.answer(404, c.more, c.head)
		if string(got) != c.want || size != strings.Index(c.want, "\r\n\r\n")+4 {
			t.Errorf("%s: got %q (%d)", name, got, size)
		}
	}
	if got, _, _ := (errorPages{404: {page}}).answer(500, "", false); !strings.Contains(string(got), "text/plain") {
		t.Errorf("the page of another status: %q", got)
	}
}
