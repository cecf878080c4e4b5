package logging

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"envoxyd/uwsgiopts"
)

// configured is the configuration of a command line.
func configured(t *testing.T, args ...string) *uwsgiopts.Config {
	t.Helper()
	cfg, err := uwsgiopts.Parse(append([]string{"--http-socket", "127.0.0.1:0", "--module", "app"}, args...), nil, uwsgiopts.ParseOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func compiled(t *testing.T, args ...string) *Plan {
	t.Helper()
	p, err := Compile(configured(t, args...), "/srv")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecordsFindTheirLoggers(t *testing.T) {
	// Loggers have numbers in the order of their options, those of requests behind; 0 is the original.
	two := []string{"--logger", "app file:a", "--logger", "file:b"}
	for _, c := range []struct {
		name   string
		args   []string
		record string
		want   []int
	}{
		{"no logger", []string{"--log-master"}, "x\n", []int{0}},
		{"unnamed ones get everything", []string{"--logger", "stdio", "--logger", "file:b"}, "x\n", []int{1, 2}},
		{"named ones get nothing by themselves", two, "x\n", []int{2}},
		{"a route takes it from the others", append(two, "--log-route", "app x"), "x\n", []int{1}},
		{"a route that does not match", append(two, "--log-route", "app ^y"), "x\n", []int{2}},
		{"two routes", append(two, "--logger", "c file:c", "--log-route", "app x", "--log-route", "c x$"), "x\n", []int{1, 3}},
		{"only named ones", []string{"--logger", "app file:a", "--log-route", "app y"}, "x\n", []int{0}},
		{"a route to nobody", append(two, "--log-route", "nobody x"), "x\n", []int{2}},
		{"drained", append(two, "--log-drain", "^x"), "x\n", nil},
		{"not drained", append(two, "--log-drain", "^y"), "x\n", []int{2}},
		{"filtered", append(two, "--log-filter", "^y", "--log-filter", "z"), "x\n", nil},
		{"let through", append(two, "--log-filter", "^y", "--log-filter", "x"), "x\n", []int{2}},
		{"drains come first", append(two, "--log-filter", "x", "--log-drain", "x"), "x\n", nil},
		{"look-ahead", append(two, "--log-route", "app ^(?!{)"), "x\n", []int{1}},
		{"a logger of requests", append(two, "--req-logger", "r file:r", "--log-route", "r x"), "x\n", []int{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compiled(t, c.args...).main.rules.loggers(nil, []byte(c.record)); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestRequestsFindTheirLoggers(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []int
	}{
		{"their own", []string{"--logger", "file:a", "--req-logger", "file:r"}, []int{2}},
		{"named like one of the others", []string{"--logger", "n file:a", "--req-logger", "n file:r", "--log-req-route", "n x"}, []int{2}},
		{"declared among the others", []string{"--logger", "n file:a", "--req-logger", "file:r", "--log-req-route", "n x"}, []int{1}},
		{"encoded, in the main log", []string{"--logger", "file:a", "--log-req-encoder", "nl"}, []int{1}},
		{"encoded, in the original", []string{"--log-req-encoder", "nl"}, []int{0}},
		{"drains are not for them", []string{"--req-logger", "file:r", "--log-drain", "x"}, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := compiled(t, c.args...)
			if !p.Requests() {
				t.Fatal("they go with the others")
			}
			if got := p.requests.rules.loggers(nil, []byte("x\n")); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if compiled(t, "--logger", "stdio").Requests() {
		t.Error("without a logger of their own they do not go with the others")
	}
}

func TestAlarmsAreRaisedUntilARuleSaysNot(t *testing.T) {
	p := compiled(t, "--alarm", "a log:", "--alarm", "b log:", "--log-alarm", "a,b err", "--not-log-alarm", "a harmless", "--log-alarm", "a .")
	for record, want := range map[string][]string{
		"error\n": {"a", "b", "a"}, "harmless error\n": {"a", "b"}, "harmless\n": nil, "other\n": {"a"},
	} {
		var got []string
		raised(p.main.alarms, []byte(record), func(name string) { got = append(got, name) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}

func TestWhatCannotBeIsBlamedOnItsOption(t *testing.T) {
	for _, c := range []struct{ option, value string }{
		{"log-encoder", "nosuch"}, {"log-req-encoder", "nosuch x"}, {"log-drain", "("}, {"log-filter", "["},
		{"log-route", "app ("}, {"log-req-route", "app ("}, {"alarm-log", "a ("},
	} {
		_, err := Compile(configured(t, "--"+c.option, c.value), "/srv")
		var wrong *OptionError
		if !errors.As(err, &wrong) || wrong.Option != c.option || wrong.Value != c.value {
			t.Errorf("%s = %s: %v", c.option, c.value, err)
		}
	}
	if p := compiled(t, "--log-route", "nobody x", "--log-encoder", "format ${what}"); len(p.Notices) != 2 || !strings.Contains(p.Notices[1], "nobody") {
		t.Errorf("notices: %q", p.Notices)
	}
}

func TestWorkersMayHaveLoggersOfTheirOwn(t *testing.T) {
	p := compiled(t, "--logger", "stdio", "--worker-logger", "file:w", "--worker-logger", "bad file:b", "--log-route", "bad x", "--log-encoder", "nl",
		"--worker-log-encoder", "prefix a")
	if p.workers == nil || !slices.Equal(p.workers.rules.unnamed, []int{2}) || p.workers.rules.routes[0].logger != 3 || len(p.workers.encoders) != 1 {
		t.Errorf("%+v", p.workers)
	}
	if !slices.Equal(p.main.rules.unnamed, []int{1}) || len(p.main.encoders) != 1 || p.requests != nil {
		t.Errorf("%+v", p.main)
	}
	p = compiled(t, "--logger", "stdio", "--worker-log-encoder", "prefix a", "--log-encoder", "nl")
	if p.workers == nil || !slices.Equal(p.workers.rules.unnamed, []int{1}) || len(p.workers.encoders) != 2 || p.stream {
		t.Errorf("%+v", p.workers)
	}
	p = compiled(t, "--req-logger", "file:r", "--worker-logger-req", "file:w", "--log-req-encoder", "nl", "--worker-log-req-encoder", "prefix a")
	if p.workers != nil || !slices.Equal(p.requests.rules.unnamed, []int{2}) || len(p.requests.encoders) != 1 {
		t.Errorf("%+v", p.requests)
	}
	p = compiled(t, "--worker-logger", "file:w", "--log-req-encoder", "nl")
	if !slices.Equal(p.requests.rules.unnamed, []int{1}) {
		t.Errorf("%+v", p.requests)
	}
}
