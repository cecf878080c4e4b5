package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	messagePages = "docs/troubleshooting*.md"
	withoutRows  = "testdata/messages-without-rows.txt"
)

// row is a message as a page shows it.
type row struct{ text, place string }

var (
	codeSpan  = regexp.MustCompile("`` ?(.+?) ?``|`([^`]+)`")
	separator = regexp.MustCompile(`[^\\]\|`)
)

// readRows returns what stands as code in the first column of the tables.
func readRows(t *testing.T) []row {
	t.Helper()
	pages, err := filepath.Glob(messagePages)
	if err != nil || len(pages) == 0 {
		t.Fatal("there is no page: ", err)
	}
	var rows []row
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		messages := false
		for n, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "| message ") {
				messages = true
			}
			if !strings.HasPrefix(line, "|") {
				messages = false
			}
			if !messages || strings.HasPrefix(line, "|---") {
				continue
			}
			cell := line[1:]
			if end := separator.FindStringIndex(cell); end != nil {
				cell = cell[:end[0]+1]
			}
			if strings.HasPrefix(cell, " nginx: ") { // not a message of ours
				continue
			}
			for _, span := range codeSpan.FindAllStringSubmatch(cell, -1) {
				rows = append(rows, row{strings.ReplaceAll(span[1]+span[2], `\|`, "|"), page + ":" + strconv.Itoa(n+1)})
			}
		}
	}
	return rows
}

// exceptions are the lines "KIND: TEXT: REASON" of withoutRows.
type exceptions struct {
	folders, messages, system map[string]string
}

func readExceptions(t *testing.T) exceptions {
	t.Helper()
	text, err := os.ReadFile(withoutRows)
	if err != nil {
		t.Fatal(err)
	}
	e := exceptions{map[string]string{}, map[string]string{}, map[string]string{}}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " | ", 3)
		if len(fields) != 3 || strings.TrimSpace(fields[2]) == "" {
			t.Fatalf("%s:%d: it is not KIND | TEXT | REASON: %s", withoutRows, n+1, line)
		}
		into := map[string]map[string]string{"folder": e.folders, "message": e.messages, "system": e.system}[fields[0]]
		if into == nil {
			t.Fatalf("%s:%d: the kinds are folder, message and system", withoutRows, n+1)
		}
		into[strings.ReplaceAll(fields[1], `\n`, "\n")] = fields[2]
	}
	return e
}

// folder is the exception that a file lies in; "" if there is none.
func (e exceptions) folder(place string) string {
	best := ""
	for folder := range e.folders {
		if strings.HasPrefix(place, folder) && len(folder) > len(best) {
			best = folder
		}
	}
	return best
}

// TestEveryMessageHasARow: what the program prints before a status is explained in the pages, or excepted with a reason.
func TestEveryMessageHasARow(t *testing.T) {
	rows, allowed, source := readRows(t), readExceptions(t), readSource(t)
	used := map[string]bool{}
	missing := 0
	for _, m := range source.messages {
		parts := fixed(m.text)
		if len(parts) == 0 { // nothing but what it wraps, which has a row of its own
			continue
		}
		if folder := allowed.folder(m.place); folder != "" {
			used[folder] = true
			continue
		}
		if _, ok := allowed.messages[m.text]; ok {
			used[m.text] = true
			continue
		}
		if !slices.ContainsFunc(rows, func(r row) bool { return says(r.text, parts) }) {
			missing++
			t.Errorf("%s: no row of %s has %q", m.place, messagePages, m.text)
		}
	}
	if len(source.messages) < 400 {
		t.Errorf("only %d messages are found: the test does not see them any more", len(source.messages))
	}
	for text, reason := range allowed.messages {
		if !used[text] {
			t.Errorf("%s: there is no message %q any more (%s)", withoutRows, text, reason)
		}
	}
	for folder := range allowed.folders {
		if !used[folder] {
			t.Errorf("%s: %s has no messages", withoutRows, folder)
		}
	}
	if missing > 0 {
		t.Logf("%d messages have no row: write one, with what to do, or say in %s why none is needed", missing, withoutRows)
	}
}

// TestPrintersAreKnown: a function that takes a format and makes an error of it is in the table of printers, or the messages
// of its callers would not be seen.
func TestPrintersAreKnown(t *testing.T) {
	source, allowed := readSource(t), readExceptions(t)
	for function, place := range source.handOn {
		_, known := printers[function]
		if _, method := printers["c."+function]; method {
			known = true
		}
		if !known && !slices.Contains(remarks, function) && allowed.folder(place) == "" {
			t.Errorf("%s: %s hands on a format: it belongs to printers or remarks", place, function)
		}
	}
	for _, name := range []string{"refuse", "usage"} {
		if source.handOn[name] == "" {
			t.Errorf("%s is not seen to hand on its format: the test does not look any more", name)
		}
	}
}
