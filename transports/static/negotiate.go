package static

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// dateFormat is RFC 9110's IMF-fixdate, of times in UTC.
const dateFormat = "Mon, 02 Jan 2006 15:04:05 GMT"

// coding is a way in which the file beside another one may be compressed.
type coding struct{ name, alias, suffix string }

// codings are all of them. Of those that the client likes equally the first is sent.
var codings = [...]coding{{"br", "", ".br"}, {"zstd", "", ".zst"}, {"gzip", "x-gzip", ".gz"}}

// negotiate returns the compressed file beside f that the client prefers, or f.
// It closes the one that is not returned.
func (s *Server) negotiate(r *Request, root string, f *file) *file {
	if len(r.AcceptEncoding) == 0 || !s.mayCompress(f.real) {
		return f
	}
	var weights [len(codings)]float64
	for i, c := range codings {
		weights[i] = quality(r.AcceptEncoding, c.name, c.alias)
	}
	for range codings {
		best := 0
		for i := range weights {
			if weights[i] > weights[best] {
				best = i
			}
		}
		if weights[best] <= 0 {
			break
		}
		weights[best] = 0
		if other, _ := s.lookup(root, f.real+codings[best].suffix, nil); other != nil && other.real != f.real {
			f.close()
			other.original, other.encoding = f.real, codings[best].name
			return other
		} else if other != nil { // root is a file: everything below it is that file
			other.close()
		}
	}
	return f
}

// mayCompress tells whether the options ask for compressed files in the place of this one.
func (s *Server) mayCompress(name string) bool {
	if s.options.CompressedAll {
		return true
	}
	for _, prefix := range s.options.CompressedPrefixes {
		if strings.HasPrefix(name, prefix) || within(prefix, name) {
			return true
		}
	}
	for _, suffix := range s.options.CompressedSuffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	for _, match := range s.rules.Compressed {
		if match.MatchString(name) {
			return true
		}
	}
	return false
}

// quality is the weight of a coding (or its other name) in an Accept-Encoding
// field, by RFC 9110, 12.5.3; 0: not acceptable.
func quality(field []byte, coding, alias string) float64 {
	others := 0.0
	for element := range bytes.SplitSeq(field, []byte(",")) {
		name, parameters, _ := bytes.Cut(element, []byte(";"))
		weight := 1.0
		if value, given := bytes.CutPrefix(bytes.TrimSpace(bytes.ToLower(parameters)), []byte("q=")); given {
			parsed, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			if err != nil || parsed < 0 || parsed > 1 {
				parsed = 0
			}
			weight = parsed
		}
		switch name := strings.ToLower(string(bytes.TrimSpace(name))); {
		case name == coding || name == alias && alias != "":
			return weight
		case name == "*":
			others = weight
		}
	}
	return others
}

// precondition evaluates the conditional fields in the order of RFC 9110, 13.2.2: 0 when the file is to be sent,
// else 304 or 412. A file has a date and no entity tag, so only "*" matches it.
func (f *file) precondition(r *Request) int {
	changed := f.mtime.Unix()
	switch {
	case len(r.IfMatch) > 0:
		if !anyTag(r.IfMatch) {
			return 412
		}
	case len(r.IfUnmodifiedSince) > 0:
		if date, ok := parseDate(string(r.IfUnmodifiedSince)); ok && changed > date.Unix() {
			return 412
		}
	}
	switch {
	case len(r.IfNoneMatch) > 0:
		if anyTag(r.IfNoneMatch) {
			return 304
		}
	case len(r.IfModifiedSince) > 0:
		if date, ok := parseDate(string(r.IfModifiedSince)); ok && changed <= date.Unix() {
			return 304
		}
	}
	return 0
}

// anyTag tells whether the field matches whatever there is.
func anyTag(field []byte) bool { return string(bytes.TrimSpace(field)) == "*" }

// parseDate reads the three forms of RFC 9110, 5.6.7.
func parseDate(text string) (time.Time, bool) {
	for _, layout := range []string{dateFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if date, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return date, true
		}
	}
	return time.Time{}, false
}

// ifRange tells whether the range counts (RFC 9110, 13.1.5): the client's copy
// must be of this very change. There are no entity tags here to match.
func ifRange(field []byte, modified string) bool {
	return len(field) == 0 || string(bytes.TrimSpace(field)) == modified
}
