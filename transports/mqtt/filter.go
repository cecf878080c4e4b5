package mqtt

import "strings"

// Match tells whether a topic falls under a filter (MQTT 3.1.1, section 4.7):
// "+" stands for one level, "#" for all that follow; neither matches a first
// level that begins with "$".
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	for {
		wanted, moreFilter, deeperFilter := strings.Cut(filter, "/")
		if wanted == "#" {
			return true
		}
		level, moreTopic, deeperTopic := strings.Cut(topic, "/")
		if wanted != "+" && wanted != level {
			return false
		}
		switch {
		case !deeperFilter && !deeperTopic:
			return true
		case deeperFilter && !deeperTopic: // "a/#" takes "a" too
			return moreFilter == "#"
		case !deeperFilter:
			return false
		}
		filter, topic = moreFilter, moreTopic
	}
}

// Covers tells whether a filter takes every topic that another one takes.
func Covers(wide, narrow string) bool {
	if strings.HasPrefix(narrow, "$") && (strings.HasPrefix(wide, "+") || strings.HasPrefix(wide, "#")) {
		return false
	}
	levels, others := strings.Split(wide, "/"), strings.Split(narrow, "/")
	for i, level := range levels {
		switch {
		case level == "#":
			return true
		case i >= len(others) || others[i] == "#" || level != "+" && level != others[i]:
			return false
		}
	}
	return len(levels) == len(others)
}

// ValidFilter tells whether a broker would take the filter: not empty, "#" last,
// "+" and "#" alone on their level.
func ValidFilter(filter string) bool {
	if filter == "" || len(filter) > 65535 || strings.ContainsRune(filter, 0) {
		return false
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.ContainsAny(level, "+#") && len(level) > 1 || level == "#" && i != len(levels)-1 {
			return false
		}
	}
	return true
}

// ValidTopic tells whether a message may be published to the topic: a name
// without wildcards.
func ValidTopic(topic string) bool {
	return topic != "" && len(topic) <= 65535 && !strings.ContainsAny(topic, "+#\x00")
}
