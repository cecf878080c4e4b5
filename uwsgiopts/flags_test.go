package uwsgiopts

import (
	"strings"
	"sync"
	"testing"

	"github.com/spf13/pflag"
)

// pflag writes into a view only: two command lines may be read at once, and one leaves nothing for the next.
func TestCommandLinesDoNotMeet(t *testing.T) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				for args, want := range map[string]string{
					"-Mp 2 --declare-option say=set=said=$1 --say a [x]": "master|processes=2|declare-option=say=set=said=$1|say=a|said=a",
					"--set a=b -C660 [y]":                                "set=a=b|a=b|chmod-socket=660",
				} {
					cfg, err := Parse(strings.Fields(args), nil, ParseOptions{})
					if err != nil || pairsOf(cfg) != want {
						t.Errorf("%s: %s, %v", args, pairsOf(cfg), err)
					}
				}
			}
		})
	}
	group.Wait()
	if allOptions().find("say") != nil || len(allOptions().flags.Args()) > 0 || allOptions().flags.Parsed() {
		t.Error("the table has been written to")
	}
}

// What a flag says of itself is what the table says of its option.
func TestFlagsAreTheTable(t *testing.T) {
	letters := map[string]bool{}
	allOptions().flags.VisitAll(func(f *pflag.Flag) {
		o := optionOf(f)
		if f.Usage != o.Doc || f.Hidden != (o.Status() == Unsupported) || f.Deprecated != "" != (o.Status() == NoOp) ||
			(f.NoOptDefVal == bare) != (o.Arg != RequiredArg) || f.Value.Type() != o.Kind().String() || f.Value.String() != "" {
			t.Errorf("--%s: %+v", f.Name, f)
		}
		if f.Value.Set("1") == nil {
			t.Errorf("--%s is set, though nothing records it", f.Name)
		}
		if f.Shorthand != "" {
			letters[f.Shorthand] = true
		}
	})
	for _, l := range allOptions().names() {
		if l.option.Short != 0 && !letters[string(l.option.Short)] {
			t.Errorf("no flag has the letter of --%s", l.name)
		}
	}
}

// pflag's own reading of these differs from getopt_long's.
func TestWordsThatPflagWouldReadOtherwise(t *testing.T) {
	tests := []struct{ args, want string }{
		{"-C664 -p=3 -s=x", "--chmod-socket=664 --processes=3 --socket==x"},
		{"-MTp=3", "-MT --processes=3"},
		{"-Mp 2", "-Mp 2"},
		{"-MC 660", "-MC 660"},
		{"-test.v", "--harakiri=est.v"},
		{"-MLtest.", "-ML --harakiri=est."},
		{"--harakiri-v -M", "--harakiri-verbose -M"},
		{"--wsgi-f=a=b", "--wsgi-file=a=b"},
		{"--socket -- --socket --wsgi-f", "--socket -- --socket --wsgi-f"},
		{"-M -- --wsgi-f x", "-M -- --wsgi-f x"},
		{"[x] --wsgi-f x", "[x] --wsgi-file x"},
		{"--set a=b --wsgi-f x", "--set a=b"}, // the rest is for later: set is carried out at once
		{"-MV --wsgi-f x", "-M invalid option -- 'V'"},
		{"-M --no-such x", "-M unrecognized option '--no-such'"},
	}
	for _, tt := range tests {
		p, err := newParser(nil, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		words, _, wrong := p.normalise(strings.Fields(tt.args))
		got := strings.Join(words, " ")
		if wrong != nil {
			got += " " + strings.TrimPrefix(wrong.Error(), "envoxyd: ")
		}
		if got != tt.want {
			t.Errorf("%s became %s, want %s", tt.args, got, tt.want)
		}
	}
}
