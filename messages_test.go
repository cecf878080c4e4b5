package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// printers are the functions that make an error or print a message that a status follows: which of their arguments is the format.
var printers = map[string]int{
	"errors.New": 0, "fmt.Errorf": 0, "refuse": 1, "refuseValue": 1, "usage": 0,
	"c.wrong": 1, "c.add": 2, "c.fail": 0, // of master/check.go and routing
}

// commandPrinters count as well in cmd: what a command prints itself comes before its status.
var commandPrinters = map[string]int{"fmt.Fprintf": 1, "fmt.Fprintln": 1, "fmt.Printf": 0, "fmt.Println": 0}

// statuses are what a function of the master names that ends the instance by an error: what it logs is a reason.
var statuses = []string{"statusFailed", "statusNoApp", "statusNoEnvoxy", "endFailed"}

// remarks are functions with a format whose lines do not end anything.
var remarks = []string{"complain", "logf", "note", "say"}

// message is a text of the source that a user may see before a status.
type message struct {
	text  string // the format, or the constant
	place string // file:line
}

// source is what the Go files of the repository say.
type source struct {
	messages []message
	literals []string          // all constant texts, joined where they are added up
	handOn   map[string]string // functions that hand a format of their caller's on: where
}

// readSource parses every Go file but tests, generators and examples.
func readSource(t *testing.T) *source {
	t.Helper()
	s := &source{handOn: map[string]string{}}
	files := token.NewFileSet()
	parsed := map[string]*ast.File{}
	constants := map[string]map[string]string{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "testdata" || name == "dist" || name != "." && strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed[path] = file
		dir := filepath.Dir(path)
		if constants[dir] == nil {
			constants[dir] = map[string]string{}
		}
		noteConstants(file, constants[dir])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, file := range parsed {
		s.read(files, path, file, constants[filepath.Dir(path)])
	}
	return s
}

// noteConstants adds the constants with a text that a file declares.
func noteConstants(file *ast.File, known map[string]string) {
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
			for i, value := range spec.Values {
				if text, ok := constant(value, nil); ok {
					known[spec.Names[i].Name] = text
				}
			}
		}
		return true
	})
}

// read takes the messages and texts of a file.
func (s *source) read(files *token.FileSet, path string, file *ast.File, constants map[string]string) {
	var parameters []string // of the function in hand
	var function string
	var ends bool // the function in hand has to do with the end of the whole
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			function, parameters, ends = node.Name.Name, nil, mentions(node, statuses)
			for _, field := range node.Type.Params.List {
				for _, name := range field.Names {
					parameters = append(parameters, name.Name)
				}
			}
		case *ast.BasicLit, *ast.BinaryExpr:
			if text, ok := constant(node.(ast.Expr), nil); ok {
				s.literals = append(s.literals, text)
			}
		case *ast.CallExpr:
			name := callee(node)
			at, counts := printers[name]
			if last := name[strings.LastIndexByte(name, '.')+1:]; !counts {
				at, counts = printers[last]
			}
			if !counts && (strings.HasPrefix(path, "cmd/") || name == "fmt.Fprintf" && mentions(node.Args[0], []string{"Stderr"})) {
				at, counts = commandPrinters[name]
			}
			if !counts && ends && name == "logf" {
				at, counts = 0, true
			}
			format := at
			if name == "fmt.Sprintf" {
				format, counts = 0, true
			}
			if !counts || format >= len(node.Args) {
				return true
			}
			text, ok := constant(node.Args[format], constants)
			place := path + ":" + strconv.Itoa(files.Position(node.Pos()).Line)
			if ident, isName := node.Args[format].(*ast.Ident); !ok && isName && slices.Contains(parameters, ident.Name) {
				s.handOn[function] = place
			}
			if name == "errors.New" { // its text is no format
				text = strings.ReplaceAll(text, "%", "%%")
			}
			if ok && name != "fmt.Sprintf" {
				s.messages = append(s.messages, message{text, place})
			}
		}
		return true
	})
}

// mentions: one of the names occurs in the code.
func mentions(code ast.Node, names []string) (found bool) {
	ast.Inspect(code, func(node ast.Node) bool {
		ident, ok := node.(*ast.Ident)
		found = found || ok && slices.Contains(names, ident.Name)
		return !found
	})
	return found
}

// callee is the name of what is called: "fmt.Errorf", "refuse", or "p.usage".
func callee(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		if on, ok := fun.X.(*ast.Ident); ok {
			return on.Name + "." + fun.Sel.Name
		}
		return "." + fun.Sel.Name
	}
	return ""
}

// constant is the text of a literal, of a known constant, or of a sum of these.
func constant(expression ast.Expr, known map[string]string) (string, bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.Ident:
		text, ok := known[e.Name]
		return text, ok
	case *ast.ParenExpr:
		return constant(e.X, known)
	case *ast.BinaryExpr:
		left, one := constant(e.X, known)
		right, other := constant(e.Y, known)
		return left + right, one && other && e.Op == token.ADD
	}
	return "", false
}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*[\d*]*(\.\d+)?(\[\d+\])?[a-zA-Z]`)

// fixed is what each print of a format has: the parts between its verbs that hold a word.
func fixed(format string) []string {
	format = strings.TrimPrefix(format, "option %q: ") // rows leave it out: it is the place
	var parts []string
	for _, part := range verb.Split(strings.ReplaceAll(format, "%%", "\x01"), -1) {
		part = strings.ReplaceAll(part, "\x01", "%")
		for _, line := range strings.Split(part, "\n") {
			line = strings.TrimLeft(strings.Trim(line, " \t\"'`(),;…"), ": ")
			if letters(line) >= 3 {
				parts = append(parts, line)
			}
		}
	}
	return parts
}

// letters counts them.
func letters(text string) int {
	n := 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n
}

// says: a row's text has all parts, in their order.
func says(row string, parts []string) bool {
	for _, part := range parts {
		at := strings.Index(row, part)
		if at < 0 {
			return false
		}
		row = row[at+len(part):]
	}
	return true
}
