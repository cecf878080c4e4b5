package mqtt

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/b", "a", false}, {"a", "a/b", false},
		{"/a", "a", false}, {"/a", "/a", true}, {"a/", "a", false}, {"a/", "a/", true},
		{"+", "a", true}, {"+", "a/b", false}, {"+/b", "a/b", true}, {"a/+", "a/b", true}, {"a/+", "a", false},
		{"a/+", "a/", true}, {"+/+", "/a", true}, {"/+", "/a", true}, {"+", "/a", false},
		{"#", "a/b/c", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "b", false}, {"a/b/#", "a", false},
		{"+/#", "a", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true},
		{"/v1/plant/+/readings", "/v1/plant/7/readings", true}, {"/v1/plant/+/readings", "/v1/plant/7/8/readings", false},
	} {
		if got := Match(test.filter, test.topic); got != test.want {
			t.Errorf("Match(%q, %q) = %v", test.filter, test.topic, got)
		}
	}
}

func TestValid(t *testing.T) {
	for filter, want := range map[string]bool{
		"a": true, "": false, "#": true, "a/#": true, "a/#/b": false, "a#": false, "+": true, "a+": false, "+/a/+": true,
		"a\x00": false, "/": true, strings.Repeat("a", 65536): false,
	} {
		if got := ValidFilter(filter); got != want {
			t.Errorf("ValidFilter(%.20q) = %v", filter, got)
		}
	}
	for topic, want := range map[string]bool{"a/b": true, "": false, "a/+": false, "#": false, "a\x00": false, "/": true} {
		if got := ValidTopic(topic); got != want {
			t.Errorf("ValidTopic(%q) = %v", topic, got)
		}
	}
}

// FuzzMatch: "#" added to a filter that matches goes on matching, and nothing crashes.
func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if ValidFilter(filter) && !strings.HasSuffix(filter, "#") && Match(filter, topic) && !Match(filter+"/#", topic) {
			t.Errorf("%q matches %q, with /# it does not", filter, topic)
		}
		if ValidTopic(topic) && ValidFilter(topic) && !Match(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
	})
}
