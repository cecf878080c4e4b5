package routing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"f": 0o644, "run": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "f", "nowhere": "absent"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		condition string
		holds     bool
	}{
		{"exists:DIR/f", true}, {"exists:DIR", true}, {"exists:DIR/absent", false}, {"exists:", false}, {"exists:DIR/nowhere", false},
		{"exists:DIR/${NUL}", false}, {"exists:DIR/f;g", false},
		{"isfile:DIR/f", true}, {"isfile:DIR", false}, {"isfile:DIR/link", true},
		{"isdir:DIR", true}, {"isdir:DIR/f", false},
		{"islink:DIR/link", true}, {"islink:DIR/nowhere", true}, {"islink:DIR/f", false},
		{"isexec:DIR/run", true}, {"isexec:DIR/f", false}, {"isexec:DIR", true},

		{"equal:a;a", true}, {"isequal:a;a", true}, {"eq:a;a", true}, {"==:a;a", true}, {"equal:a;A", false}, {"equal:;", true},
		{"equal:", false}, {"equal:a", false}, {"equal:a;a;", false}, {"equal:a;a;b", false}, {"==:${PATH_INFO};$0", false},
		{"equal:${SEMI};a", false}, {"equal:${SEMI};a;b", true}, // semicolons of variables separate nothing
		{"startswith:abc;ab", true}, {"startswith:abc;", true}, {"startswith:abc;abcd", false}, {"startswith:abc", false},
		{"endswith:abc;bc", true}, {"endswith:abc;", true}, {"endswith:abc;xabc", false},
		{"contains:abc;b", true}, {"contain:abc;b", true}, {"contains:abc;", false}, {"contains:;", false}, {"contains:abc", false},
		{"empty:", true}, {"empty:${NONE}", true}, {"empty:a", false}, {"empty:a;b", false}, {"empty:${PATH_INFO}", false},

		{"regexp:abc;b", true}, {"re:abc;^b", false}, {"regexp:abc;A", false}, {"regexp:abc;", true}, {"regexp:abc", false}, {"regexp:;", true},
		{"regexp:abc;${PATTERN}", true}, {"regexp:abc;${BROKEN}", false},

		{"ishigher:2;1", true}, {">:2;1", true}, {">:10;9", true}, {">:a;1", false}, {">:1", false}, {">:;", false}, {"ishigher:12abc;11", true},
		{"<:1;2", true}, {"<:-1;0", true}, {"<:1.5;1.7", false}, {"islower:2;1", false}, {">=:1;1", true}, {"<=:1;1", true}, {"<=:;", true},
		{"ishigherequal:${NONE};0", true}, {"islowerequal:2;1", false}, {">:99999999999999999999;9999999999", true}, {">:0x10;1", false},

		{"ipv4in:1.2.3.4;1.2.3.0/24", true}, {"ipv4in:1.2.3.4;1.2.3.4", true}, {"ipv4in:1.2.3.4;1.2.4.0/24", false}, {"ipv4in:x;1.2.3.0/24", false},
		{"ipv4in:;0.0.0.0/0", false}, {"ipv4in:1.2.3.4;0.0.0.0/0", true}, {"ipv4in:1.2.3.4", false}, {"ipv4in:1.2.3.4;1.2.3.9/24", true},
		{"ipv4in:::ffff:1.2.3.4;1.2.3.4", false}, {"ipv4in:1.2.3.4:80;1.2.3.4", false}, {"ipv4in:${REMOTE_ADDR};127.0.0.0/8", true},
		{"ipv4in:127.0.0.1;${NET}", true}, {"ipv4in:127.0.0.1;${BROKEN}", false}, {"ipv4in:127.0.0.1;${NET6}", false},
		{"ipv6in:::1;::1", true}, {"ipv6in:[::1];::1", false}, {"ipv6in:fe80::1;fe80::/10", true}, {"ipv6in:fe80::1%eth0;fe80::/10", true},
		{"ipv6in:fe80::1;fe80::/128", false}, {"ipv6in:1.2.3.4;::/0", false}, {"ipv6in:::ffff:1.2.3.4;::/0", true},
	} {
		text := strings.ReplaceAll(c.condition, "DIR", dir)
		for option, want := range map[string]bool{"route-if": c.holds, "route-if-not": !c.holds} {
			_, v, _ := run(t, option+" = "+text+" last:", request("SEMI", "a;b", "PATTERN", "^a", "BROKEN", "(", "NET", "127.0.0.0/8", "NET6", "::/0", "NUL", "f\x00"))
			if got := v.Kind == Continue; got != want {
				t.Errorf("%s %s: %v", option, text, got)
			}
		}
	}
}
