package routing

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"
)

// fileActions answer with a file. Those that end with -next let the rules go on if there is none, the others answer 404.
var fileActions = map[string]builder{
	"static":        staticAction(false),
	"static-next":   staticAction(true),
	"file":          fileAction(false),
	"file-next":     fileAction(true),
	"sendfile":      fileAction(false),
	"sendfile-next": fileAction(true),
	"fastfile":      fileAction(false),
	"fastfile-next": fileAction(true),
}

func staticAction(goOn bool) builder {
	return func(c *compiler, argument string) (action, error) {
		name := c.template(argument)
		if err := checkLiteralPath(name); err != nil {
			return nil, err
		}
		return func(r *Request) outcome { return r.file(name, File{Static: true}, goOn) }, nil
	}
}

func fileAction(goOn bool) builder {
	return func(c *compiler, argument string) (action, error) {
		s, err := readSettings(argument, "filename", "status", "content_type", "no_cl", "nocl", "no_headers")
		if err != nil {
			return nil, err
		}
		if s["filename"] == "" {
			return nil, fmt.Errorf("you have to specify filename=")
		}
		name, kind := c.template(s["filename"]), c.template(s["content_type"])
		if err := checkLiteralPath(name); err != nil {
			return nil, err
		}
		file := File{NoLength: s.on("no_cl", "nocl"), Bare: s.on("no_headers"), Status: "200 OK"}
		if s["status"] != "" {
			valid := false
			if file.Status, valid = statusLine([]byte(s["status"])); !valid {
				return nil, fmt.Errorf("%q is not a status", s["status"])
			}
		}
		return func(r *Request) outcome {
			file := file
			file.ContentType = "text/html"
			if text := cut(kind.look(r)); len(text) > 0 {
				file.ContentType = string(text)
			}
			return r.file(name, file, goOn)
		}, nil
	}
}

// checkLiteralPath refuses what can be seen to be no path of a file.
func checkLiteralPath(name *template) error {
	if name.constant != nil && !strings.HasPrefix(string(name.constant), "/") {
		return fmt.Errorf("%q: an absolute path is needed", name.constant)
	}
	return nil
}

// file answers with a file, if it is one. A path that leads upwards is none, whoever wrote it.
func (r *Request) file(name *template, f File, goOn bool) outcome {
	text := name.look(r)
	if len(text) == 0 || text[0] != '/' || bytes.IndexByte(text, 0) >= 0 || hasUpwards(text) {
		return r.noFile(goOn)
	}
	f.Path, f.Root = path.Clean(string(text)), name.root(text)
	if info, err := os.Stat(f.Path); err != nil || !info.Mode().IsRegular() {
		return r.noFile(goOn)
	}
	r.verdict = Verdict{Kind: SendFile, File: &f}
	return end
}

func (r *Request) noFile(goOn bool) outcome {
	if goOn {
		return next
	}
	return r.fail("404")
}

func hasUpwards(path []byte) bool {
	for segment := range bytes.SplitSeq(path, []byte("/")) {
		if string(segment) == ".." {
			return true
		}
	}
	return false
}

// root is what of a path the rule itself says: all of it, or the directory that the rest is below.
func (t *template) root(text []byte) string {
	if t.constant != nil {
		return string(t.constant)
	}
	if t.parts[0].kind != literalPart {
		return "/"
	}
	literal := string(t.parts[0].text)
	if rest := text[len(literal):]; !strings.HasSuffix(literal, "/") && (len(rest) == 0 || rest[0] != '/') {
		literal = literal[:strings.LastIndexByte(literal, '/')+1]
	}
	return path.Clean(literal)
}
