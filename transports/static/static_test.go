package static

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/staticspec"
)

// As the tables below name them.
type (
	Options = staticspec.Options
	Map     = staticspec.Map
	Expiry  = staticspec.Expiry
)

// modified is when every file of a site was changed.
var modified = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const modifiedText = "Wed, 04 Mar 2026 05:06:07 GMT"

// site makes a directory of files and links and returns its name, which has no links in it.
func site(t testing.TB) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"pub/a.txt": "hello a", "pub/b.html": "<b>", "pub/c.none": "c", "pub/sub/index.html": "index", "pub/empty.txt": "",
		"pub/a.txt.gz": "GZ", "pub/a.txt.br": "BR", "pub/z.txt": "z", "pub/z.txt.zst": "ZST", "pub/z.txt.gz": "ZGZ", "pub/UPPER.TXT": "U", "pub/only.txt": "o", "pub/only.txt.gz": "OGZ", "pub/line\nbreak.txt": "x",
		"pub2/secret.txt": "sibling", "out/secret.txt": "secret", "more/m.txt": "m", "more/pub/m.txt": "mm",
		"types": "# comment\ntext/plain txt  text # rest\ntext/html html\napplication/x-late txt\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"pub/leak.txt": "../out/secret.txt", "pub/inside.txt": "a.txt", "pub/up": "..", "pub/leak.gzip.txt": "a.txt",
		"pub/trap.txt.gz": "../out/secret.txt", "current": "pub",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "pub/trap.txt"), []byte("bait"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "pub/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// ask returns the answer as "STATUS|header lines|body", or "app" when there is no file.
func ask(t testing.TB, s *Server, r *Request) (text string, err error) {
	t.Helper()
	if !s.Wants(r.Path) {
		return "app", nil
	}
	a, found, err := s.Answer(r)
	if !found {
		return "app", err
	}
	body := ""
	if a.File >= 0 {
		file := os.NewFile(uintptr(a.File), "body")
		defer file.Close()
		var from io.Reader = io.NewSectionReader(file, a.Offset, a.Size)
		if a.Several() {
			from = a.Body(file)
		}
		all, readErr := io.ReadAll(from)
		if int64(len(all)) != a.Size {
			t.Errorf("%d bytes of %d", len(all), a.Size)
		}
		if readErr != nil {
			t.Fatal(readErr)
		}
		body = string(all)
	}
	if lines := strings.Count(string(a.Header), "\r\n"); lines != a.Fields {
		t.Errorf("%d fields, but %d lines", a.Fields, lines)
	}
	return fmt.Sprintf("%d|%s|%s", a.Status, strings.ReplaceAll(string(a.Header), "\r\n", ";"), body), err
}

func serverFor(t testing.TB, root string, options Options) *Server {
	t.Helper()
	options.MimeFiles = []string{filepath.Join(root, "types")}
	s, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func body(text string) string { return text[strings.LastIndexByte(text, '|')+1:] }

func TestWhichFileIsSent(t *testing.T) {
	root := site(t)
	dir := func(name string) string { return filepath.Join(root, name) }
	one := Options{Maps: []Map{{Prefix: "/s", Dir: dir("pub")}}}
	for name, c := range map[string]struct {
		options Options
		path    string
		want    string
	}{
		"a file":                           {one, "/s/a.txt", "hello a"},
		"no file":                          {one, "/s/none", "app"},
		"the directory":                    {one, "/s/", "app"},
		"the prefix alone":                 {one, "/s", "app"},
		"a prefix ends at a segment":       {one, "/sa.txt", "app"},
		"a file is no directory":           {one, "/s/a.txt/", "app"},
		"a sibling of the directory":       {one, "/s/../pub2/secret.txt", "app"},
		"a sibling by the same letters":    {Options{Maps: []Map{{Prefix: "/s/", Dir: dir("pub")}}}, "/s/../pub2/secret.txt", "app"},
		"out by a link":                    {one, "/s/leak.txt", "app"},
		"out by a linked directory":        {one, "/s/up/out/secret.txt", "app"},
		"a link inside":                    {one, "/s/inside.txt", "hello a"},
		"out and in again":                 {one, "/s/up/pub/a.txt", "hello a"},
		"a directory that is a link":       {Options{Maps: []Map{{Prefix: "/s", Dir: dir("current")}}}, "/s/a.txt", "hello a"},
		"a NUL":                            {one, "/s/a.txt\x00.html", "app"},
		"a pipe":                           {one, "/s/fifo", "app"},
		"a very long name":                 {one, "/s/" + strings.Repeat("x/", 4000), "app"},
		"a directory that may be led to":   {Options{Maps: one.Maps, Safe: []string{dir("out")}}, "/s/leak.txt", "secret"},
		"a safe directory is one":          {Options{Maps: one.Maps, Safe: []string{dir("ou")}}, "/s/leak.txt", "app"},
		"the next map":                     {Options{Maps: []Map{{Prefix: "/s", Dir: dir("pub")}, {Prefix: "/s", Dir: dir("more")}}}, "/s/m.txt", "m"},
		"the next map after a leak":        {Options{Maps: []Map{{Prefix: "/s", Dir: dir("pub")}, {Prefix: "/s", Dir: dir("out")}}}, "/s/leak.txt", "app"},
		"a prefix with a slash":            {Options{Maps: []Map{{Prefix: "/s/", Dir: dir("pub")}}}, "/s/a.txt", "hello a"},
		"every path":                       {Options{Maps: []Map{{Prefix: "/", Dir: dir("pub")}}}, "/a.txt", "hello a"},
		"one file":                         {Options{Maps: []Map{{Prefix: "/one", Dir: dir("more/m.txt")}}}, "/one", "m"},
		"one file for all below":           {Options{Maps: []Map{{Prefix: "/one", Dir: dir("more/m.txt")}}}, "/one/x/y", "m"},
		"one file, not beside":             {Options{Maps: []Map{{Prefix: "/one", Dir: dir("more/m.txt")}}}, "/onex", "app"},
		"the whole path":                   {Options{WholeMaps: []Map{{Prefix: "/pub", Dir: dir("more")}}}, "/pub/m.txt", "mm"},
		"any path":                         {Options{Check: []string{dir("none"), dir("pub")}}, "/a.txt", "hello a"},
		"any path, not out":                {Options{Check: []string{dir("pub")}}, "/../out/secret.txt", "app"},
		"a suffix that is skipped":         {Options{Check: []string{dir("pub")}, SkipSuffixes: []string{".html"}}, "/b.html", "app"},
		"an index":                         {Options{Maps: one.Maps, Index: []string{"none", "index.html"}}, "/s/sub", "index"},
		"an index, with a slash":           {Options{Maps: one.Maps, Index: []string{"index.html"}}, "/s/sub/", "index"},
		"no index for a file with a slash": {Options{Maps: one.Maps, Index: []string{"a.txt"}}, "/s/b.html/", "app"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := ask(t, serverFor(t, root, c.options), &Request{Path: []byte(c.path), Now: modified})
			if body(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOutOfBoundsIsReported(t *testing.T) {
	root := site(t)
	s := serverFor(t, root, Options{Maps: []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}})
	_, err := ask(t, s, &Request{Path: []byte("/s/leak.txt")})
	var outside *OutsideError
	if !errors.As(err, &outside) || outside.Path != filepath.Join(root, "out/secret.txt") {
		t.Errorf("got %v", err)
	}
}

func TestDocumentRoot(t *testing.T) {
	root := site(t)
	s := serverFor(t, root, Options{DocumentRoot: true})
	for docroot, want := range map[string]string{filepath.Join(root, "pub"): "hello a", "": "app", "pub": "app", root + "/pub\x00": "app"} {
		if got, _ := ask(t, s, &Request{Path: []byte("/a.txt"), DocumentRoot: []byte(docroot)}); body(got) != want {
			t.Errorf("%q: got %q, want %q", docroot, got, want)
		}
	}
}

func TestHeader(t *testing.T) {
	root := site(t)
	maps := []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}
	plain := Options{Maps: maps}
	const tail = "Last-Modified: " + modifiedText + ";"
	now := modified.Add(time.Hour)
	for name, c := range map[string]struct {
		options Options
		request Request
		want    string
	}{
		"a file":        {plain, Request{Path: []byte("/s/a.txt")}, "200|Content-Type: text/plain;Content-Length: 7;" + tail + "|hello a"},
		"no type":       {plain, Request{Path: []byte("/s/c.none")}, "200|Content-Length: 1;" + tail + "|c"},
		"capitals":      {plain, Request{Path: []byte("/s/UPPER.TXT")}, "200|Content-Type: text/plain;Content-Length: 1;" + tail + "|U"},
		"an empty file": {plain, Request{Path: []byte("/s/empty.txt")}, "200|Content-Type: text/plain;Content-Length: 0;" + tail + "|"},
		"HEAD":          {plain, Request{Path: []byte("/s/a.txt"), Head: true}, "200|Content-Type: text/plain;Content-Length: 7;" + tail + "|"},

		"not modified":           {plain, Request{Path: []byte("/s/a.txt"), IfModifiedSince: []byte(modifiedText)}, "304||"},
		"not modified, old form": {plain, Request{Path: []byte("/s/a.txt"), IfModifiedSince: []byte("Wednesday, 04-Mar-26 05:06:08 GMT")}, "304||"},
		"not modified, ctime":    {plain, Request{Path: []byte("/s/a.txt"), IfModifiedSince: []byte("Wed Mar  4 05:06:07 2026")}, "304||"},
		"not modified, expires": {Options{Maps: maps, CompressedAll: true, Expires: []Expiry{{Pattern: `.`, Seconds: 60}}},
			Request{Path: []byte("/s/a.txt"), IfModifiedSince: []byte(modifiedText)}, "304|Expires: Wed, 04 Mar 2026 06:07:07 GMT;Vary: Accept-Encoding;|"},
		"anything there is":        {plain, Request{Path: []byte("/s/a.txt"), IfNoneMatch: []byte(" * ")}, "304||"},
		"only if there is any":     {plain, Request{Path: []byte("/s/c.none"), IfMatch: []byte("*")}, "200|Content-Length: 1;" + tail + "|c"},
		"only with that tag":       {plain, Request{Path: []byte("/s/c.none"), IfMatch: []byte(`"x", "y"`)}, "412|Content-Length: 0;|"},
		"unmodified since":         {plain, Request{Path: []byte("/s/c.none"), IfUnmodifiedSince: []byte(modifiedText)}, "200|Content-Length: 1;" + tail + "|c"},
		"modified meanwhile":       {plain, Request{Path: []byte("/s/c.none"), IfUnmodifiedSince: []byte("Wed, 04 Mar 2026 05:06:06 GMT")}, "412|Content-Length: 0;|"},
		"a tag goes before a date": {plain, Request{Path: []byte("/s/c.none"), IfUnmodifiedSince: []byte("Wed, 04 Mar 2026 05:06:06 GMT"), IfMatch: []byte("*")}, "200|Content-Length: 1;" + tail + "|c"},
		"refused, not unmodified":  {plain, Request{Path: []byte("/s/c.none"), IfMatch: []byte(`"x"`), IfModifiedSince: []byte(modifiedText)}, "412|Content-Length: 0;|"},
		"modified since":           {plain, Request{Path: []byte("/s/c.none"), IfModifiedSince: []byte("Wed, 04 Mar 2026 05:06:06 GMT")}, "200|Content-Length: 1;" + tail + "|c"},
		"no date":                  {plain, Request{Path: []byte("/s/c.none"), IfModifiedSince: []byte("nonsense")}, "200|Content-Length: 1;" + tail + "|c"},
		"an entity tag goes first": {plain, Request{Path: []byte("/s/c.none"), IfModifiedSince: []byte(modifiedText), IfNoneMatch: []byte(`"x"`)}, "200|Content-Length: 1;" + tail + "|c"},

		"expires by name": {Options{Maps: maps, Expires: []Expiry{{Pattern: `\.none$`, Seconds: 60}, {Pattern: `.`, Seconds: 9}}}, Request{Path: []byte("/s/c.none")},
			"200|Expires: Wed, 04 Mar 2026 06:07:07 GMT;Content-Length: 1;" + tail + "|c"},
		"expires from the change": {Options{Maps: maps, ExpiresPathInfo: []Expiry{{Pattern: `^/s/c`, Seconds: 60, FromMtime: true}}}, Request{Path: []byte("/s/c.none")},
			"200|Expires: Wed, 04 Mar 2026 05:07:07 GMT;Content-Length: 1;" + tail + "|c"},
		"expires by uri": {Options{Maps: maps, ExpiresURI: []Expiry{{Pattern: `v=\d+`, Seconds: 60}}}, Request{Path: []byte("/s/c.none"), URI: []byte("/s/c.none?v=1")},
			"200|Expires: Wed, 04 Mar 2026 06:07:07 GMT;Content-Length: 1;" + tail + "|c"},
		"expires by type": {Options{Maps: maps, ExpiresType: []Expiry{{Pattern: "text/html", Seconds: 1}}}, Request{Path: []byte("/s/b.html")},
			"200|Expires: Wed, 04 Mar 2026 06:06:08 GMT;Content-Type: text/html;Content-Length: 3;" + tail + "|<b>"},
		"another type": {Options{Maps: maps, ExpiresType: []Expiry{{Pattern: "text/html", Seconds: 1}}}, Request{Path: []byte("/s/c.none")}, "200|Content-Length: 1;" + tail + "|c"},

		"for nginx": {Options{Maps: maps, Handoff: "X-Accel-Redirect"}, Request{Path: []byte("/s/a.txt")},
			"200|Content-Type: text/plain;X-Accel-Redirect: " + root + "/pub/a.txt;|"},
		"a name that no header takes": {Options{Maps: maps, Handoff: "X-Sendfile"}, Request{Path: []byte("/s/line\nbreak.txt")}, "app"},
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Now = now
			if got, _ := ask(t, serverFor(t, root, c.options), &c.request); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestCompressedSibling(t *testing.T) {
	root := site(t)
	maps := []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}
	all := Options{Maps: maps, CompressedAll: true}
	for name, c := range map[string]struct {
		options    Options
		path, asks string
		want       string // encoding and body
	}{
		"not asked for":              {Options{Maps: maps}, "/s/a.txt", "gzip, br", " hello a"},
		"the client takes none":      {all, "/s/a.txt", "", " hello a"},
		"gzip":                       {all, "/s/a.txt", "gzip", "gzip GZ"},
		"gzip by its old name":       {all, "/s/a.txt", "x-gzip", "gzip GZ"},
		"brotli goes first":          {all, "/s/a.txt", "gzip, br", "br BR"},
		"by weight":                  {all, "/s/a.txt", "br;q=0.5, gzip;q=0.9", "gzip GZ"},
		"everything":                 {all, "/s/a.txt", "*", "br BR"},
		"refused":                    {all, "/s/a.txt", "gzip;q=0, br;q=0.0", " hello a"},
		"everything but brotli":      {all, "/s/a.txt", "br;q=0, *", "gzip GZ"},
		"part of a name":             {all, "/s/a.txt", "notgzip, brotli", " hello a"},
		"a weight that is none":      {all, "/s/a.txt", "gzip;q=high", " hello a"},
		"zstd":                       {all, "/s/z.txt", "gzip, zstd", "zstd ZST"},
		"there is no brotli of it":   {all, "/s/z.txt", "br, zstd, gzip", "zstd ZST"},
		"zstd by weight":             {all, "/s/z.txt", "gzip, zstd;q=0.9", "gzip ZGZ"},
		"no zstd of it":              {all, "/s/only.txt", "zstd, br, gzip;q=0.1", "gzip OGZ"},
		"the second choice":          {all, "/s/only.txt", "br, gzip", "gzip OGZ"},
		"there is none":              {all, "/s/b.html", "gzip", " <b>"},
		"one that leads out":         {all, "/s/trap.txt", "gzip", " bait"},
		"by pattern":                 {Options{Maps: maps, Compressed: []string{`\.txt$`}}, "/s/a.txt", "gzip", "gzip GZ"},
		"by suffix":                  {Options{Maps: maps, CompressedSuffixes: []string{".txt"}}, "/s/a.txt", "gzip", "gzip GZ"},
		"by another suffix":          {Options{Maps: maps, CompressedSuffixes: []string{".css"}}, "/s/a.txt", "gzip", " hello a"},
		"by directory":               {Options{Maps: maps, CompressedPrefixes: []string{root + "/pub"}}, "/s/a.txt", "gzip", "gzip GZ"},
		"by a link to the directory": {Options{Maps: maps, CompressedPrefixes: []string{root + "/current"}}, "/s/a.txt", "gzip", "gzip GZ"},
		"one file has no sibling":    {Options{Maps: []Map{{Prefix: "/s", Dir: root + "/pub/only.txt"}}, CompressedAll: true}, "/s", "gzip", " o"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := ask(t, serverFor(t, root, c.options), &Request{Path: []byte(c.path), AcceptEncoding: []byte(c.asks)})
			encoding := ""
			if _, rest, some := strings.Cut(got, "Content-Encoding: "); some {
				encoding, _, _ = strings.Cut(rest, ";")
				if kind := "Content-Type: text/plain;"; !strings.Contains(got, kind) {
					t.Errorf("%q is not of the type of the original", got)
				}
			}
			if encoding+" "+body(got) != c.want {
				t.Errorf("got %q, want %q", encoding+" "+body(got), c.want)
			}
			if varies := strings.Contains(got, "Vary: Accept-Encoding;"); varies != (name != "not asked for") {
				t.Errorf("%q: Vary is wrong", got)
			}
		})
	}
}

func TestRange(t *testing.T) {
	root := site(t)
	s := serverFor(t, root, Options{Maps: []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}, Ranges: true})
	for field, want := range map[string]string{
		"bytes=1-3": "206 bytes 1-3/7 ell", "bytes=4-": "206 bytes 4-6/7 o a", "bytes=-2": "206 bytes 5-6/7  a",
		"bytes=0-0,-1": "200  hello a", "bytes=0-1,5-6": "200  hello a", "bytes=2-2,0-1": "206 bytes 0-2/7 hel", "bytes=1-3, 2-4": "206 bytes 1-4/7 ello",
		"bytes=3-1,0-1": "206 bytes 0-1/7 he", "bytes=,1-1,": "206 bytes 1-1/7 e", "bytes=9-,-0": "416 bytes */7 ", "bytes=4-,0-3": "200  hello a",
		"bytes=5-99": "206 bytes 5-6/7  a", "BYTES = 1-3": "206 bytes 1-3/7 ell",
		"bytes=0-": "200  hello a", "bytes=0-6": "200  hello a", "bytes=-100": "200  hello a",
		"bytes=1-99999999999999999999": "206 bytes 1-6/7 ello a", "bytes=-99999999999999999999": "200  hello a",
		"lines=1-3": "200  hello a", "nonsense": "200  hello a",
		"bytes=7-": "416 bytes */7 ", "bytes=50-60": "416 bytes */7 ", "bytes=3-1": "416 bytes */7 ", "bytes=-0": "416 bytes */7 ",
		"bytes=": "416 bytes */7 ", "bytes=-": "416 bytes */7 ", "bytes=a-b": "416 bytes */7 ", "bytes=--1": "416 bytes */7 ", "bytes=+1-2": "416 bytes */7 ",
	} {
		got, _ := ask(t, s, &Request{Path: []byte("/s/a.txt"), Range: []byte(field)})
		status, _, _ := strings.Cut(got, "|")
		_, contentRange, _ := strings.Cut(got, "Content-Range: ")
		contentRange, _, _ = strings.Cut(contentRange, ";")
		if found := status + " " + contentRange + " " + body(got); found != want {
			t.Errorf("%s: got %q, want %q", field, found, want)
		}
	}
}

func TestSeveralRanges(t *testing.T) {
	root := site(t)
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "%d", i%10)
	}
	content := text.String()
	for _, name := range []string{"long.txt", "long.txt.gz"} {
		if err := os.WriteFile(filepath.Join(root, "pub", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serverFor(t, root, Options{Maps: []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}, Ranges: true, CompressedAll: true})
	many := "bytes=" + strings.Repeat("0-0,500-500,", 32)
	for field, want := range map[string]string{
		"bytes=0-9,500-509":                         "0-9 500-509",
		"bytes=500-509,0-9":                         "500-509 0-9", // in the order that was asked for
		"bytes=-5,300-301":                          "995-999 300-301",
		"bytes=500-600,0-1,550-650":                 "500-650 0-1",
		"bytes=0-9,500-509,x,2000-":                 "0-9 500-509",
		"bytes=0-1,102-103":                         "206 0-103", // what lies between is no more than the head of a part
		"bytes=0-1,103-104":                         "0-1 103-104",
		"bytes=0-700,0-700,0-700":                   "206 0-700",
		"bytes=0-400,550-999":                       "200", // as much as the whole file
		"bytes=" + strings.Repeat("0-,", 63) + "0-": "200",
		many + "700-701":                            "200",
		strings.TrimSuffix(many, ","):               "0-0 500-500",
		"bytes=1000-,2000-":                         "416",
	} {
		r := &Request{Path: []byte("/s/long.txt"), Range: []byte(field)}
		a, found, err := s.Answer(r)
		if !found || err != nil {
			t.Fatal(found, err)
		}
		got := strconv.Itoa(a.Status)
		if a.File >= 0 {
			file := os.NewFile(uintptr(a.File), "body")
			if a.Several() {
				got = ""
				kind := string(a.Header)[strings.Index(string(a.Header), "Content-Type: ")+len("Content-Type: "):]
				kind, _, _ = strings.Cut(kind, "\r\n")
				mediaType, parameters, err := mime.ParseMediaType(kind)
				if err != nil || mediaType != "multipart/byteranges" || strings.Contains(string(a.Header), "Content-Range") {
					t.Errorf("%s: %s, %v", field, a.Header, err)
				}
				body, err := io.ReadAll(a.Body(file))
				if err != nil || int64(len(body)) != a.Size || a.Size >= int64(len(content)) {
					t.Errorf("%s: %d bytes, %d said, %v", field, len(body), a.Size, err)
				}
				parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
				for {
					part, err := parts.NextPart()
					if err != nil {
						break
					}
					var from, to, size int
					if _, err := fmt.Sscanf(part.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size); err != nil || size != 1000 || part.Header.Get("Content-Type") != "text/plain" {
						t.Errorf("%s: %v, %v", field, part.Header, err)
					}
					if data, err := io.ReadAll(part); err != nil || string(data) != content[from:to+1] {
						t.Errorf("%s: %d-%d is %q, %v", field, from, to, data, err)
					}
					got = strings.TrimSpace(fmt.Sprintf("%s %d-%d", got, from, to))
				}
			} else if a.Status == 206 {
				got += fmt.Sprintf(" %d-%d", a.Offset, a.Offset+a.Size-1)
			}
			file.Close()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
	compressed, _ := ask(t, s, &Request{Path: []byte("/s/long.txt"), AcceptEncoding: []byte("gzip"), Range: []byte("bytes=0-9,500-509")})
	if !strings.HasPrefix(compressed, "200|Content-Encoding: gzip;") {
		t.Errorf("compressed: %.100s", compressed)
	}
	cut, err := io.ReadAll((&Answer{Parts: []Part{{Head: "a", Offset: 5, Size: 10}}, Tail: "z"}).Body(strings.NewReader("0123456789")))
	if !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(string(cut), "z") {
		t.Errorf("of a file that was cut short: %q, %v", cut, err)
	}
}

func FuzzRanges(f *testing.F) {
	for _, text := range []string{"bytes=0-9,500-509", "bytes=-5,300-301", "bytes=0-1,-", "x=1"} {
		f.Add(text, int64(1000))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size <= 0 {
			return
		}
		r := parseRanges([]byte(field), size)
		last := int64(0)
		for _, s := range r.spans {
			if s.from < 0 || s.to < s.from || s.to >= size {
				t.Fatalf("%q of %d: %+v", field, size, r.spans)
			}
			last += s.size()
		}
		if (r.status == 206) != (len(r.spans) > 0) || (len(r.spans) > 1) != (r.boundary != "") || last > size || len(r.spans) > mostRanges {
			t.Fatalf("%q of %d: %+v", field, size, r)
		}
	})
}

func TestRangeConditions(t *testing.T) {
	root := site(t)
	maps := []Map{{Prefix: "/s", Dir: filepath.Join(root, "pub")}}
	for name, c := range map[string]struct {
		ranges  bool
		request Request
		want    string
	}{
		"without the option":      {false, Request{}, "hello a"},
		"if it is the same":       {true, Request{IfRange: []byte(modifiedText)}, "ell"},
		"if it was changed":       {true, Request{IfRange: []byte("Wed, 04 Mar 2026 05:06:08 GMT")}, "hello a"},
		"if it has that tag":      {true, Request{IfRange: []byte(`"tag"`)}, "hello a"},
		"HEAD has the whole size": {true, Request{Head: true}, ""},
	} {
		c.request.Path, c.request.Range = []byte("/s/a.txt"), []byte("bytes=1-3")
		got, _ := ask(t, serverFor(t, root, Options{Maps: maps, Ranges: c.ranges}), &c.request)
		if body(got) != c.want || c.request.Head && !strings.Contains(got, "Content-Length: 7;") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	empty := Request{Path: []byte("/s/empty.txt"), Range: []byte("bytes=0-")}
	if got, _ := ask(t, serverFor(t, root, Options{Maps: maps, Ranges: true}), &empty); !strings.HasPrefix(got, "416|") {
		t.Errorf("a range of an empty file: %q", got)
	}
}

func TestNewRefusesBrokenPatterns(t *testing.T) {
	broken := []Expiry{{Pattern: "(", Seconds: 1}}
	for name, options := range map[string]Options{
		"static-gzip": {Compressed: []string{"("}}, "static-expires": {Expires: broken},
		"static-expires-uri": {ExpiresURI: broken}, "static-expires-path-info": {ExpiresPathInfo: broken},
	} {
		if _, err := New(options); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is asked for: nothing out of the directory is ever sent, and no more than there is.
func FuzzAnswer(f *testing.F) {
	root := site(f)
	s := serverFor(f, root, Options{Maps: []Map{{Prefix: "/s", Dir: root + "/pub"}, {Prefix: "/one", Dir: root + "/more/m.txt"}}, WholeMaps: []Map{{Prefix: "/pub", Dir: root + "/more"}},
		Index: []string{"index.html"}, CompressedAll: true, Ranges: true, DocumentRoot: true})
	for _, path := range []string{"/s/a.txt", "/s/../pub2/secret.txt", "/s/leak.txt", "/s/sub", "/one/x", "/pub/m.txt", "/s/up/out/secret.txt"} {
		f.Add(path, "br;q=0.1, *", "bytes=1-3,5-", modifiedText, "")
	}
	f.Add("/x", "gzip", "bytes=-2", "x", root+"/pub")
	allowed := []string{"hello a", "z", "ZST", "ZGZ", "<b>", "c", "index", "GZ", "BR", "U", "o", "OGZ", "x", "bait", "m", "mm"}
	f.Fuzz(func(t *testing.T, path, accept, ranges, ifRange, docroot string) {
		if docroot != "" && docroot != root+"/pub" {
			docroot = "" // it is the front end's to choose
		}
		r := &Request{Path: []byte(path), AcceptEncoding: []byte(accept), Range: []byte(ranges), IfRange: []byte(ifRange), DocumentRoot: []byte(docroot)}
		got, _ := ask(t, s, r)
		if got == "app" {
			return
		}
		sent := got[strings.LastIndexByte(got, '|')+1:]
		for _, text := range allowed {
			if strings.Contains(text, sent) {
				return
			}
		}
		t.Fatalf("%q was sent for %q", sent, path)
	})
}
