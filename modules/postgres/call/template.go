package call

import (
	"fmt"
	"strconv"
	"strings"

	"envoxyd/modules/postgres/problem"
)

// Template is a statement as an application writes it, cut at its parameters.
type Template struct {
	pieces  []string // what stands before, between and after the holes
	holes   []hole
	names   []string // of named parameters, each once; nil: positional
	text    string   // with $1, $2, … in the holes
	inline  bool     // PostgreSQL takes no parameters here: values are written into the text
	simple  bool     // several statements, which only the simple protocol takes
	session bool     // it changes the session, which must not serve others then
	first   string   // the first word, in lower case
}

// hole is the place of one parameter.
type hole struct {
	number int  // from 0: of the name, or of the position
	bare   bool // a constant must stand here: interval '1 day'
}

// parametrised are the first words of statements that PostgreSQL plans, and so gives parameters to.
var parametrised = map[string]bool{
	"": true, "select": true, "insert": true, "update": true, "delete": true, "with": true, "values": true, "merge": true, "table": true, "explain": true,
}

// changing are first words of statements whose effect stays with the session.
var changing = map[string]bool{"listen": true, "load": true, "prepare": true, "deallocate": true, "discard": true, "reset": true}

// passing are what may follow SET without an effect beyond the transaction.
var passing = map[string]bool{"local": true, "transaction": true, "constraints": true}

// typed are the words after which a quoted constant must stand.
var typed = map[string]bool{"interval": true, "date": true, "time": true, "timetz": true, "timestamp": true, "timestamptz": true}

// Parse finds the parameters of a statement: %(name)s, or %s, and %% for a percent
// sign. Inside quotes and comments only %% counts.
func Parse(sql string) (*Template, error) {
	s := scanner{sql: sql, numbers: map[string]int{}}
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, fmt.Errorf("%w: the SQL has a NUL character", problem.ErrUsage)
	}
	if err := s.scan(); err != nil {
		return nil, err
	}
	if s.streams {
		return nil, fmt.Errorf("%w: COPY from or to the client is not supported", problem.ErrUsage)
	}
	t := &Template{pieces: append(s.pieces, s.piece.String()), holes: s.holes, names: s.names, first: s.first, session: s.session}
	t.simple = s.statements > 1
	t.inline = t.simple || !parametrised[s.first]
	var text strings.Builder
	for i, piece := range t.pieces {
		text.WriteString(piece)
		if i < len(t.holes) {
			text.WriteByte('$')
			text.WriteString(strconv.Itoa(t.holes[i].number + 1))
			t.inline = t.inline || t.holes[i].bare
		}
	}
	t.text = text.String()
	return t, nil
}

// scanner walks over SQL by PostgreSQL's lexical rules (its manual, "Lexical Structure").
type scanner struct {
	sql        string
	at         int
	piece      strings.Builder
	pieces     []string
	holes      []hole
	names      []string
	numbers    map[string]int
	positional bool

	first      string // word of the first statement
	statements int
	ended      bool   // a semicolon has been seen, and nothing after it
	opening    string // the first word of a statement, while the second is awaited
	session    bool
	copying    bool   // in a COPY
	streams    bool   // one that reads or writes this connection
	word       string // the token just seen, if it was a word
}

func (s *scanner) scan() error {
	for s.at < len(s.sql) {
		c := s.sql[s.at]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			s.keep(1)
		case strings.HasPrefix(s.sql[s.at:], "--"):
			end := strings.IndexAny(s.sql[s.at:], "\r\n")
			if end < 0 {
				end = len(s.sql) - s.at
			}
			s.keepUnescaped(end)
		case strings.HasPrefix(s.sql[s.at:], "/*"):
			s.keepUnescaped(commentLength(s.sql[s.at:]))
		case c == ';':
			s.ended, s.word = true, ""
			s.keep(1)
		case c == '%':
			if err := s.percent(); err != nil {
				return err
			}
		case startsWord(c):
			s.takeWord()
		default:
			s.token()
			s.symbol(c)
		}
	}
	return nil
}

// token notes that something of a statement is there.
func (s *scanner) token() {
	if s.ended || s.statements == 0 {
		s.statements++
		s.ended = false
	}
	s.word = ""
}

func (s *scanner) symbol(c byte) {
	switch c {
	case '\'', '"':
		s.keepUnescaped(quotedLength(s.sql[s.at:], false))
	case '$':
		s.keepUnescaped(dollarLength(s.sql[s.at:]))
	default:
		length := 1
		if c >= '0' && c <= '9' { // also what follows it, so that 1e5 is no word
			for s.at+length < len(s.sql) && inWord(s.sql[s.at+length]) {
				length++
			}
		}
		s.keep(length)
	}
}

func (s *scanner) takeWord() {
	length := 1
	for s.at+length < len(s.sql) && inWord(s.sql[s.at+length]) {
		length++
	}
	word := strings.ToLower(s.sql[s.at : s.at+length])
	opening := s.statements == 0 || s.ended
	s.token()
	if opening {
		s.copying = word == "copy"
		s.session = s.session || changing[word]
		s.opening = word
		if s.statements == 1 {
			s.first = word
		}
	}
	if !opening {
		s.session = s.session || s.opening == "set" && !passing[word] || s.opening == "create" && (word == "temp" || word == "temporary")
		s.opening = ""
	}
	s.streams = s.streams || s.copying && (word == "stdin" || word == "stdout")
	s.word = word
	s.keep(length)
	if word == "e" && s.at < len(s.sql) && s.sql[s.at] == '\'' {
		s.word = ""
		s.keepUnescaped(quotedLength(s.sql[s.at:], true))
	}
}

// percent is at a percent sign outside quotes. One that begins no parameter is the operator.
func (s *scanner) percent() error {
	rest := s.sql[s.at+1:]
	bare := typed[s.word]
	s.token()
	switch {
	case strings.HasPrefix(rest, "%"):
		s.piece.WriteByte('%')
		s.at += 2
	case strings.HasPrefix(rest, "s"):
		s.at += 2
		s.positional = true
		s.cut(hole{number: len(s.holes), bare: bare})
	case strings.HasPrefix(rest, "("):
		name, after, found := strings.Cut(rest[1:], ")")
		if !found || !strings.HasPrefix(after, "s") {
			return fmt.Errorf("%w: a parameter is written %%(name)s", problem.ErrUsage)
		}
		s.at += len(name) + 4
		number, known := s.numbers[name]
		if !known {
			number = len(s.names)
			s.numbers[name] = number
			s.names = append(s.names, name)
		}
		s.cut(hole{number: number, bare: bare})
	default:
		s.keep(1)
	}
	if s.positional && s.names != nil {
		return fmt.Errorf("%w: %%s and %%(name)s cannot be mixed", problem.ErrUsage)
	}
	return nil
}

func (s *scanner) cut(h hole) {
	s.pieces = append(s.pieces, s.piece.String())
	s.piece.Reset()
	s.holes = append(s.holes, h)
}

func (s *scanner) keep(length int) {
	s.piece.WriteString(s.sql[s.at : s.at+length])
	s.at += length
}

// keepUnescaped keeps quoted text: there, too, %% is a percent sign.
func (s *scanner) keepUnescaped(length int) {
	s.piece.WriteString(strings.ReplaceAll(s.sql[s.at:s.at+length], "%%", "%"))
	s.at += length
}

func startsWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func inWord(c byte) bool { return startsWord(c) || c >= '0' && c <= '9' || c == '$' }

// quotedLength is the length of the quoted text that sql begins with; a doubled quote does not end it.
func quotedLength(sql string, escapes bool) int {
	quote := sql[0]
	for i := 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote:
			if i+1 < len(sql) && sql[i+1] == quote {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(sql)
}

// commentLength is the length of the comment that sql begins with; they nest.
func commentLength(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(sql)
}

// dollarLength is the length of the dollar-quoted text that sql begins with, 1 if it is none.
func dollarLength(sql string) int {
	end := 1
	for end < len(sql) && sql[end] != '$' && inWord(sql[end]) {
		if end == 1 && !startsWord(sql[end]) {
			return 1
		}
		end++
	}
	if end >= len(sql) || sql[end] != '$' {
		return 1
	}
	tag := sql[:end+1]
	closing := strings.Index(sql[end+1:], tag)
	if closing < 0 {
		return len(sql)
	}
	return end + 1 + closing + len(tag)
}
