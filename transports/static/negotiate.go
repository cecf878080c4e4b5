package static

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dateFormat is RFC 9110's IMF-fixdate, of times in UTC.
const dateFormat = "Mon, 02 Jan 2006 15:04:05 GMT"

// negotiate returns the compressed file beside f that the client prefers, or f.
// It closes the one that is not returned.
func (s *Server) negotiate(r *Request, root string, f *file) *file {
	if len(r.AcceptEncoding) == 0 || !s.mayCompress(f.real) {
		return f
	}
	candidates := []struct {
		encoding, suffix string
		quality          float64
	}{
		{"br", ".br", quality(r.AcceptEncoding, "br", "")},
		{"gzip", ".gz", quality(r.AcceptEncoding, "gzip", "x-gzip")},
	}
	if candidates[1].quality > candidates[0].quality {
		candidates[0], candidates[1] = candidates[1], candidates[0]
	}
	for _, c := range candidates {
		if c.quality <= 0 {
			continue
		}
		if other, _ := s.lookup(root, f.real+c.suffix, nil); other != nil && other.real != f.real {
			f.close()
			other.original, other.encoding = f.real, c.encoding
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

// notModifiedSince holds RFC 9110, 13.1.3: the field counts only without If-None-Match.
func (f *file) notModifiedSince(r *Request) bool {
	if len(r.IfModifiedSince) == 0 || len(r.IfNoneMatch) > 0 {
		return false
	}
	date, ok := parseDate(string(r.IfModifiedSince))
	return ok && f.mtime.Unix() <= date.Unix()
}

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

// part answers a Range field for a file of the given size: the first of its
// ranges, or everything when there is no reason to send less.
func part(field []byte, size int64) (status int, offset, length int64, contentRange string) {
	unit, ranges, ok := strings.Cut(strings.TrimSpace(string(field)), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return 200, 0, size, "" // RFC 9110, 14.2: an unknown unit is ignored
	}
	first, _, _ := strings.Cut(ranges, ",")
	from, to, ok := bounds(strings.TrimSpace(first), size)
	switch {
	case !ok:
		return 416, 0, 0, fmt.Sprintf("bytes */%d", size)
	case from == 0 && to == size-1:
		return 200, 0, size, ""
	}
	return 206, from, to - from + 1, fmt.Sprintf("bytes %d-%d/%d", from, to, size)
}

// bounds reads one range, both ends included.
func bounds(text string, size int64) (from, to int64, ok bool) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, false
	}
	if first == "" {
		suffix, ok := natural(last)
		return max(size-suffix, 0), size - 1, ok && suffix > 0
	}
	from, ok = natural(first)
	if !ok || from >= size {
		return 0, 0, false
	}
	if last == "" {
		return from, size - 1, true
	}
	to, ok = natural(last)
	return from, min(to, size-1), ok && to >= from
}

// natural reads decimal digits; what does not fit is as good as the largest number.
func natural(text string) (int64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}
