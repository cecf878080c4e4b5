package tracing

import (
	"fmt"
	"strings"
	"testing"
)

const example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestParseIsStrict(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{example, true},
		{strings.Replace(example, "-01", "-00", 1), true},
		{strings.Replace(example, "-01", "-ff", 1), true},
		{"01" + example[2:], true},
		{"cc" + example[2:] + "-more", true},
		{"", false},
		{example[:54], false},
		{example + "0", false},
		{example + "-more", false}, // of version 00
		{"cc" + example[2:] + "x", false},
		{"ff" + example[2:], false},
		{strings.ToUpper(example), false},
		{strings.Replace(example, "4bf9", "4bfg", 1), false},
		{strings.Replace(example, "-00f", "_00f", 1), false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
		{" " + example, false},
	} {
		got, ok := Parse([]byte(c.text))
		if ok != c.ok || ok != got.Valid() {
			t.Errorf("%q: %v", c.text, ok)
		}
		if ok && c.text == example && string(got.Append(nil)) != example {
			t.Errorf("%q became %q", example, got.Append(nil))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("cc" + example[2:] + "-more"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ok := Parse(text)
		if ok != c.Valid() {
			t.Fatal("what is no context was made one")
		}
		if !ok {
			return
		}
		written := c.Append(nil)
		if len(written) != Size || string(written[3:52]) != string(text[3:52]) {
			t.Fatalf("%q became %q", text, written)
		}
		if again, ok := Parse(written); !ok || again != c {
			t.Fatalf("%q cannot be read again", written)
		}
	})
}

func TestSampler(t *testing.T) {
	sampled, _ := Parse([]byte(example))
	ids, not := NewSource(), sampled
	not.Flags = 0
	for _, c := range []struct {
		name    string
		sampler Sampler
		parent  Context
		want    bool
	}{
		{"all", Sampler{Ratio: 1}, Context{}, true},
		{"none", Sampler{Ratio: 0}, Context{}, false},
		{"the caller records", Sampler{Ratio: 0}, sampled, true},
		{"the caller does not", Sampler{Ratio: 1}, not, false},
		{"whatever the caller does", Sampler{Ratio: 1, IgnoreCalls: true}, not, true},
		{"likewise", Sampler{Ratio: 0, IgnoreCalls: true}, sampled, false},
	} {
		var got Context
		c.sampler.Begin(&got, &c.parent, &ids)
		if got.IsSampled() != c.want || !got.Valid() {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.parent.Valid() && (got.Trace != c.parent.Trace || got.Span == c.parent.Span) {
			t.Errorf("%s: %v is no child of the caller's", c.name, got)
		}
	}
}

func TestSamplerKeepsItsRatioAndAgreesWithOthers(t *testing.T) {
	count, ids := 0, NewSource()
	const rounds = 20000
	for range rounds {
		var few, more Context
		(&Sampler{Ratio: 0.1}).Begin(&few, &Context{}, &ids)
		if !few.IsSampled() {
			continue
		}
		count++
		few.Flags = 0
		if (&Sampler{Ratio: 0.2, IgnoreCalls: true}).Begin(&more, &few, &ids); !more.IsSampled() {
			t.Fatal("a higher ratio leaves out what a lower one records")
		}
	}
	if count < rounds/10*8/10 || count > rounds/10*12/10 {
		t.Errorf("%d of %d", count, rounds)
	}
}

func TestSourcesAreApart(t *testing.T) {
	traces, spans := map[[16]byte]bool{}, map[[8]byte]bool{}
	for range 3 {
		ids := NewSource()
		for range 100 {
			var c, child Context
			ids.begin(&c)
			ids.child(&child)
			if !c.Valid() || traces[c.Trace] || spans[c.Span] || spans[child.Span] || c.Span == child.Span {
				t.Fatal("an id came twice")
			}
			traces[c.Trace], spans[c.Span], spans[child.Span] = true, true, true
		}
	}
}

func TestContextsAreWrittenAsTheyAreRead(t *testing.T) {
	ids := NewSource()
	for i := range 256 {
		var c Context
		ids.begin(&c)
		c.Flags = byte(i)
		if i%2 == 0 { // else as it has begun
			c.Trace[i%16], c.Span[i%8] = byte(i), byte(i)
		}
		want := fmt.Sprintf("00-%x-%x-%02x", c.Trace, c.Span, c.Flags)
		if got := string(c.Append(nil)); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		var text [Size]byte
		if ids.Put(&c, &text); string(text[:]) != want {
			t.Fatalf("%q, want %q", text, want)
		}
		if back, ok := Parse([]byte(want)); !ok || back.Trace != c.Trace || back.Span != c.Span {
			t.Fatalf("%q is read as %v", want, back)
		}
	}
}
