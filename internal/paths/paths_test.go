package paths

import "testing"

func TestIn(t *testing.T) {
	for _, c := range [][3]string{{"/srv", "a", "/srv/a"}, {"/srv", "/a", "/a"}, {"/srv", "../a", "/a"}, {"/srv", "", "/srv"}, {"", "a", "a"}} {
		if got := In(c[0], c[1]); got != c[2] {
			t.Errorf("%q in %q is %q, not %q", c[1], c[0], got, c[2])
		}
	}
}
