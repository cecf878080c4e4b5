package modules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// kind is the JSON type of a node.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "text", "a list", "an object"}[k]
}

// node is one value of a document. Unlike a map it keeps the order of keys, because
// the first server of a section is its default, and where each value was written.
type node struct {
	kind    kind
	text    string // text: decoded; number and boolean: as written
	items   []*node
	members []member
	offset  int    // of the value's first byte in the file; -1: not from the file
	origin  string // the variable or command line key that set it; "": the file
}

type member struct {
	key   string
	value *node
}

func newObject() *node           { return &node{kind: object, offset: -1} }
func newText(value string) *node { return &node{kind: text, text: value, offset: -1} }

// get returns the member of that name, nil when n is no object or has none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// at follows a path of object keys and list indexes; nil when it leads nowhere.
func (n *node) at(path ...string) *node {
	for _, step := range path {
		if n != nil && n.kind == list {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(n.items) {
				return nil
			}
			n = n.items[i]
			continue
		}
		n = n.get(step)
	}
	return n
}

// set gives a member a value; an existing one keeps its place.
func (n *node) set(key string, value *node) {
	for i := range n.members {
		if n.members[i].key == key {
			n.members[i].value = value
			return
		}
	}
	n.members = append(n.members, member{key, value})
}

// setDefault is set for members that are not there yet.
func (n *node) setDefault(key string, value *node) {
	if n.get(key) == nil {
		n.set(key, value)
	}
}

func (n *node) isEmpty() bool {
	return n == nil || n.kind == null || len(n.items) == 0 && len(n.members) == 0 && n.text == ""
}

// parse reads a document. Errors are *json.SyntaxError, with the offset of the trouble.
func parse(data []byte) (*node, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return parseValue(decoder, data)
}

func parseValue(decoder *json.Decoder, data []byte) (*node, error) {
	offset := valueStart(data, int(decoder.InputOffset()))
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	n := &node{offset: offset}
	switch value := token.(type) {
	case nil:
		n.kind = null
	case bool:
		n.kind, n.text = boolean, strconv.FormatBool(value)
	case json.Number:
		n.kind, n.text = number, value.String()
	case string:
		n.kind, n.text = text, value
	case json.Delim:
		if value == '{' {
			n.kind = object
			return n, parseMembers(decoder, data, n)
		}
		n.kind = list
		return n, parseItems(decoder, data, n)
	}
	return n, nil
}

func parseMembers(decoder *json.Decoder, data []byte, n *node) error {
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return errors.New("a key that is no text")
		}
		value, err := parseValue(decoder, data)
		if err != nil {
			return err
		}
		n.set(key, value) // a key given twice: the last one counts, as in Python
	}
	_, err := decoder.Token()
	return err
}

func parseItems(decoder *json.Decoder, data []byte, n *node) error {
	for decoder.More() {
		value, err := parseValue(decoder, data)
		if err != nil {
			return err
		}
		n.items = append(n.items, value)
	}
	_, err := decoder.Token()
	return err
}

// valueStart skips what the decoder has not consumed yet before a value.
func valueStart(data []byte, offset int) int {
	for offset < len(data) && strings.IndexByte(" \t\r\n:,", data[offset]) >= 0 {
		offset++
	}
	return offset
}

// encode writes a document as compact JSON, keys in their order.
func (n *node) encode() []byte {
	var out bytes.Buffer
	n.write(&out)
	return out.Bytes()
}

func (n *node) write(out *bytes.Buffer) {
	switch n.kind {
	case null:
		out.WriteString("null")
	case boolean, number:
		out.WriteString(n.text)
	case text:
		writeText(out, n.text)
	case list:
		out.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				out.WriteByte(',')
			}
			item.write(out)
		}
		out.WriteByte(']')
	case object:
		out.WriteByte('{')
		for i, m := range n.members {
			if i > 0 {
				out.WriteByte(',')
			}
			writeText(out, m.key)
			out.WriteByte(':')
			m.value.write(out)
		}
		out.WriteByte('}')
	}
}

func writeText(out *bytes.Buffer, value string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("modules: a string that JSON cannot hold: %v", err)) // cannot happen: every string encodes
	}
	out.Truncate(out.Len() - 1) // Encode ends with a newline
}

// position turns an offset into line and column, both from 1.
func position(data []byte, offset int) (line, column int) {
	if offset < 0 {
		return 0, 0
	}
	before := data[:min(offset, len(data))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
