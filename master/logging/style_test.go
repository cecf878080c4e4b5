package logging

import (
	"regexp"
	"slices"
	"testing"
)

func TestTheDateIsBeforeEveryLine(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--log-date=%Y", "--logger", "file:all", "--logger", "bad file:bad", "--log-route", "bad ^bad")
	use(t, l, plan)
	out := stdio(t, l, plan)
	for _, text := range []string{"app\n", "a\nb\n", "\x00server\n", "\x01request\n", "bad\n"} {
		if _, err := out.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	l.Line([]byte("master\n"))
	l.Close()
	got := lines(t, dir, "all")
	slices.Sort(got)
	for i, want := range []string{`\d{4} - a\n`, `\d{4} - app\n`, `\d{4} - b\n`, `\d{4} - master\n?`, `\d{4} - server\n`, `request\n?`} {
		if i >= len(got) || !regexp.MustCompile("^"+want).MatchString(got[i]) {
			t.Fatalf("%q: no %q", got, want)
		}
	}
	if got := lines(t, dir, "bad"); !regexp.MustCompile(`^\d{4} - bad$`).MatchString(got[0]) {
		t.Fatalf("%q", got)
	}
}

func TestSendersAreForgottenLate(t *testing.T) {
	var s senders
	s.add(1, "worker", 1)
	s.drop(1)
	if s.find(1).number != 1 {
		t.Fatal("forgotten at once")
	}
	s.add(1, "mule", 9) // another process has the number
	for pid := range int32(rememberedSenders) {
		s.add(pid+2, "worker", 2)
		s.drop(pid + 2)
	}
	if s.find(1).role != "mule" || len(s.gone) != rememberedSenders {
		t.Fatalf("%+v, %d gone", s.find(1), len(s.gone))
	}
	s.drop(1)
	for pid := range int32(rememberedSenders) {
		s.add(pid+2, "worker", 2)
		s.drop(pid + 2)
	}
	if s.find(1).role != "" || len(s.known) > rememberedSenders {
		t.Fatalf("%+v, %d known", s.find(1), len(s.known))
	}
}
