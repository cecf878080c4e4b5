// Package architecture holds the rules about who may import whom (CONTRIBUTING.md), and how much C there is.
package architecture

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport lists, for each folder, the folders of this repository that it may import.
// A folder stands for those below it that have no line of their own; what is not listed may
// import nothing of ours.
var mayImport = map[string][]string{
	"cmd/envoxyd":           {"cmd/envoxyd/newconfig", "emperor", "master", "uwsgiopts", "modules", "protocol"},
	"cmd/envoxyd/newconfig": {},
	"cmd/envoxyd-gateway":   {"gateway", "gateway/sidecar"},
	"cmd/envoxyd-otlp":      {"otlp", "internal/startspec", "internal/tracing"},
	"cmd/envoxyd-router":    {"router", "internal/routerspec", "internal/startspec"},
	"cmd/envoxyd-zmq":       {"gateway/peers", "gateway/sidecar", "transports/zmq"},
	"emperor":               {"uwsgiopts", "master/hooks", "internal/emperorlink", "internal/paths", "internal/respawn", "emperor/rows"},
	"emperor/rows":          {},
	"gateway":               {"gateway/election", "gateway/sidecar", "protocol", "transports", "modules", "internal"},
	"gateway/peers":         {"gateway/sidecar", "protocol", "transports/zmq", "modules/lenient", "internal"},
	"gateway/election":      {},
	"gateway/sidecar":       {"protocol", "internal"},
	"master":                {"uwsgiopts", "modules", "internal", "master"},
	"master/cheaper":        {},
	"master/daemons":        {"uwsgiopts", "internal/respawn", "internal/paths"},
	"master/hooks":          {"uwsgiopts"},
	"master/logging":        {"uwsgiopts", "internal"},
	"master/privileges":     {"uwsgiopts"},
	"master/process":        {"internal/respawn", "internal/workerspec", "internal/socketpair"},
	"master/exporter":       {"uwsgiopts", "internal/latency", "master/management", "master/stats"},
	"master/management":     {},
	"master/metrics":        {"uwsgiopts", "internal", "master/stats"},
	"master/resources":      {"internal/socketpair"},
	"master/filewatch":      {},
	"master/signaling":      {"master/filewatch"},
	"master/sockets":        {"uwsgiopts", "internal/scmrights", "internal/socketpair", "internal/paths"},
	"master/snmp":           {"uwsgiopts", "internal/shm", "master/stats"},
	"master/stats":          {"uwsgiopts", "internal", "master/management"},
	"master/statuspage":     {"internal", "master/stats"},
	"master/subscribing":    {"uwsgiopts", "protocol/subscription", "internal/paths"},
	"otlp":                  {"internal/tracing"},
	"router":                {"protocol", "transports", "internal", "router"},
	"router/nodes":          {},
	"worker":                {"protocol", "routing", "transports", "modules/postgres", "internal", "worker"},
	"transports":            {"protocol", "internal/staticspec", "internal/stream", "transports"},
	"routing":               {"protocol/uwsgi", "internal/routespec", "internal/htpasswd", "internal/logtext", "internal/pcre"},
	"internal":              {"internal"},
	"internal/conninfo":     {},
	"internal/httpget":      {},
	"internal/respawn":      {},
	"internal/spelling":     {},
	"internal/stream":       {},
	"internal/tlsconfig":    {"internal", "protocol/uwsgi"},
	"internal/openssl":      {},
	"internal/tlsspec":      {},
	"internal/tracing":      {},
	"internal/workerspec":   {"internal/staticspec", "internal/tlsspec", "internal/routespec", "internal/tracing"},
	"internal/routerspec":   {"internal/tlsspec"},
	"uwsgiopts":             {"uwsgiopts", "protocol/subscription", "internal/conninfo", "internal/httpget", "internal/openssl", "internal/routespec", "internal/spelling", "routing"},
	"modules":               {"protocol", "internal/conninfo", "internal/spelling"},
	"modules/probe":         {"internal/httpget"},

	"modules/postgres":         {"protocol", "modules/postgres"},
	"modules/postgres/call":    {"protocol", "modules/postgres/pool", "modules/postgres/problem", "modules/postgres/types"},
	"modules/postgres/pool":    {"modules/postgres/problem"},
	"modules/postgres/problem": {},
	"modules/postgres/types":   {"protocol", "modules/postgres/problem"},

	"protocol":              {},
	"protocol/subscription": {"protocol/uwsgi"},
}

func TestImportsGoOneWay(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != "." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		checked++
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !allowed(path, name) {
				t.Errorf("%s must not import %s", path, name)
			}
		}
		return nil
	})
	if err != nil || checked < 50 {
		t.Fatalf("looked at %d files: %v", checked, err)
	}
}

// comments are C's; what looks like one within a string stays.
var comments = regexp.MustCompile(`(?s)("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*`)

// What a zygote loads is C without Go, and is to stay small: lines of code that are written by hand.
func TestCWithoutGoStaysSmall(t *testing.T) {
	const most = 1650
	files, err := filepath.Glob("worker/shared/*.[ch]")
	if err != nil || len(files) < 10 {
		t.Fatalf("there are %d files: %v", len(files), err)
	}
	lines := 0
	for _, file := range append(files, "worker/zygote/zygote.c") {
		if strings.HasSuffix(file, "_test.c") || strings.HasSuffix(file, "/layout.h") { // which internal/layout writes
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(comments.ReplaceAllString(string(text), "$1")) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
	}
	if lines > most {
		t.Errorf("%d lines of C, which are to be %d at most", lines, most)
	}
	t.Logf("%d lines", lines)
}

func allowed(path, name string) bool {
	if name == "C" {
		return strings.HasPrefix(path, "worker/")
	}
	if strings.HasSuffix(name, "cloudflare/tableflip") {
		return path == "master/upgrade.go"
	}
	if strings.HasSuffix(name, "spf13/pflag") {
		return under(path, "uwsgiopts")
	}
	if name == "net/http" && path != filepath.Join("worker", "http2.go") && path != filepath.Join("worker", "tunnel.go") { // fasthttp's place, but for HTTP/2
		return !under(path, "cmd/envoxyd", "internal", "master", "modules", "uwsgiopts", "worker")
	}
	if strings.Contains(name, "valyala/fasthttp") { // the request path has a parser of its own
		return !under(path, "modules", "transports/http", "uwsgiopts", "worker")
	}
	if strings.HasPrefix(name, "go.opentelemetry.io/") { // workers send records, and have no SDK in their memory
		return under(path, "otlp")
	}
	if strings.Contains(name, "eclipse/paho") {
		return under(path, "transports/mqtt")
	}
	if strings.HasPrefix(name, "github.com/jackc/") {
		if under(path, "emperor/rows") { // the master's memory pays for what is linked here: without pgx's types it is half as much
			return name == "github.com/jackc/pgx/v5/pgconn"
		}
		return under(path, "modules/postgres", "modules/probe", "gateway")
	}
	if strings.HasPrefix(name, "github.com/redis/") {
		return under(path, "gateway")
	}
	if strings.HasSuffix(name, "pebbe/zmq4") {
		return under(path, "transports/zmq")
	}
	if name == "envoxyd/transports/zmq" { // what links libzmq runs only where it is installed
		return under(path, "gateway/peers", "cmd/envoxyd-zmq")
	}
	target, ours := strings.CutPrefix(name, "envoxyd/")
	if !ours {
		return true
	}
	if strings.HasPrefix(target, "modules/") && under(path, "cmd/envoxyd", "master") {
		return false // what they talk to stays out of the master
	}
	rule := ""
	for folder := range mayImport {
		if strings.HasPrefix(path, folder+"/") && len(folder) > len(rule) {
			rule = folder
		}
	}
	return slices.ContainsFunc(mayImport[rule], func(t string) bool { return target == t || strings.HasPrefix(target, t+"/") })
}

func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(path, folder+"/") })
}
