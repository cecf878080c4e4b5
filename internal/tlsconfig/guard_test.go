package tlsconfig

import (
	"os"
	"path/filepath"
	"testing"

	"envoxyd/internal/tlsspec"
)

func TestRequestsForHostsThatDemandMoreAreMisdirected(t *testing.T) {
	root, clients, others := newAuthority(t, "root", nil), newAuthority(t, "clients", nil), newAuthority(t, "others", nil)
	h := newHouse(t, root.leaf("fallback"))
	named := func(name string, ca string, required bool) tlsspec.Name {
		n := tlsspec.Name{Name: name, Certificate: h.add(name, root.leaf(name))}
		n.ClientCA, n.Required = ca, required
		return n
	}
	one, two := h.addCA("clients", clients), h.addCA("others", others)
	h.Names = []tlsspec.Name{named("open.test", "", false), named("may.test", one, false), named("must.test", one, true), named("twin.test", one, true), named("other.test", two, true)}
	h.save()
	s := h.store()
	for _, c := range []struct {
		shown, host string
		want        bool
	}{
		{"open.test", "open.test", false}, {"open.test", "fallback", false}, {"open.test", "", false}, {"", "open.test:443", false},
		{"open.test", "must.test", true}, {"open.test", "MUST.test:443", true}, {"open.test", "must.test.", true}, {"open.test", "may.test", true},
		{"", "must.test", true}, {"unknown.test", "must.test", true}, {"", "[::1]:443", false}, {"", "[::1]", false},
		{"may.test", "must.test", true}, {"must.test", "may.test", false}, {"must.test", "twin.test", false}, {"must.test", "open.test", false},
		{"must.test", "other.test", true}, {"other.test", "must.test", true}, {"must.test", "Must.test", false},
	} {
		guard := s.Guard(c.shown)
		for range 2 {
			if got := guard([]byte(c.host)); got != c.want {
				t.Errorf("a request for %q with the certificate of %q: %v", c.host, c.shown, got)
			}
		}
	}
	plain := newHouse(t, root.leaf("fallback"))
	plain.Names = []tlsspec.Name{{Name: "a.test", Certificate: plain.add("a", root.leaf("a"))}}
	plain.save()
	if plain.store().Guard("a.test") != nil {
		t.Error("hosts that demand the same are looked at")
	}
	dir := t.TempDir()
	root.leaf("d").write(dir, "d.test")
	if err := os.WriteFile(filepath.Join(dir, "d.test.ca"), clients.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	plain.Dir = dir
	if guard := plain.store().Guard("a.test"); !guard([]byte("d.test")) || guard([]byte("e.test")) {
		t.Error("a host of the directory is not guarded, or another one is")
	}
}
