package static

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// mostRanges is how many ranges are looked at: for more, and parts as small as that, the whole file is the better answer.
	mostRanges = 64
	// smallGap is as many bytes as the head of a part takes: what lies between two ranges is sent along if it is no more.
	smallGap = 100
)

// Part is a part of a file in an answer with several (multipart/byteranges).
type Part struct {
	Head         string // what stands before it
	Offset, Size int64
}

// ranges is how a Range field is answered.
type ranges struct {
	status   int // 200: with the whole file
	spans    []span
	boundary string // of an answer with several
}

// parseRanges answers a Range field for a file of the given size. Ranges that overlap, or nearly touch, are one; the others keep their
// order (RFC 9110, 14.2 and 15.3.7). Where several would cost as much as the whole file, or more, that is the answer.
func parseRanges(field []byte, size int64) ranges {
	all := ranges{status: 200}
	unit, list, ok := strings.Cut(strings.TrimSpace(string(field)), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return all // RFC 9110, 14.2: an unknown unit is ignored
	}
	if strings.Count(list, ",") >= mostRanges {
		return all
	}
	var found []span
	for text := range strings.SplitSeq(list, ",") {
		if from, to, ok := bounds(strings.TrimSpace(text), size); ok {
			found = append(found, span{from, to, len(found)})
		}
	}
	if len(found) == 0 {
		return ranges{status: 416}
	}
	found = join(found)
	total := int64(0)
	for _, s := range found {
		total += s.size() + smallGap
	}
	if found[0].size() == size || len(found) > 1 && total >= size {
		return all
	}
	r := ranges{status: 206, spans: found}
	if len(found) > 1 {
		r.boundary = rand.Text() // nobody can have put it into the file
	}
	return r
}

// contentRange is the field of a single part, or of none.
func (r *ranges) contentRange(size int64) string {
	switch {
	case r.status == 416:
		return fmt.Sprintf("bytes */%d", size)
	case len(r.spans) == 1:
		return r.spans[0].field(size)
	}
	return ""
}

// parts are those of an answer with several, and what ends it.
func (r *ranges) parts(kind string, size int64) (parts []Part, tail string) {
	if kind != "" {
		kind = "Content-Type: " + kind + "\r\n"
	}
	for _, s := range r.spans {
		parts = append(parts, Part{Head: "\r\n--" + r.boundary + "\r\n" + kind + "Content-Range: " + s.field(size) + "\r\n\r\n", Offset: s.from, Size: s.size()})
	}
	parts[0].Head = strings.TrimPrefix(parts[0].Head, "\r\n")
	return parts, "\r\n--" + r.boundary + "--\r\n"
}

// Several tells whether the body is made of parts: see Body.
func (a *Answer) Several() bool { return len(a.Parts) > 0 }

// Body reads the body of an answer with several parts.
func (a *Answer) Body(file io.ReaderAt) io.Reader {
	var all []io.Reader
	for _, p := range a.Parts {
		all = append(all, strings.NewReader(p.Head), &whole{io.NewSectionReader(file, p.Offset, p.Size), p.Size})
	}
	return io.MultiReader(append(all, strings.NewReader(a.Tail))...)
}

// whole reads a part of a file, of which a piece may be missing by then: that is an error, not its end.
type whole struct {
	part *io.SectionReader
	left int64
}

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	n, err := w.part.Read(p)
	if w.left -= int64(n); w.left > 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// span is a part of a file, both ends included, and its place among those that were asked for.
type span struct {
	from, to int64
	place    int
}

func (s span) size() int64 { return s.to - s.from + 1 }

func (s span) field(size int64) string { return fmt.Sprintf("bytes %d-%d/%d", s.from, s.to, size) }

// join makes one of spans that overlap or have a small gap between them, in the place of the first that was asked for.
func join(spans []span) (joined []span) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for _, next := range spans {
		last := len(joined) - 1
		if last < 0 || next.from > joined[last].to+1+smallGap {
			joined = append(joined, next)
			continue
		}
		joined[last].to, joined[last].place = max(joined[last].to, next.to), min(joined[last].place, next.place)
	}
	slices.SortFunc(joined, func(a, b span) int { return cmp.Compare(a.place, b.place) })
	return joined
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
