package uwsgiopts

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
)

// parseYaml returns the settings of the mapping that section names. A list repeats its
// key, and so may a key. Text that is no YAML, but what uWSGI's own reader takes (values
// that begin with % or @, colons within values), is read line by line as that does.
func parseYaml(text, section string) ([]line, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	file, err := yamlparser.ParseBytes([]byte(text), 0, yamlparser.AllowDuplicateMapKey())
	if err != nil {
		return plainYaml(text, section), nil
	}
	y := yamlReader{anchors: map[string]ast.Node{}}
	for _, doc := range file.Docs {
		for _, pair := range y.pairs(doc.Body) {
			if y.key(pair) == section {
				y.section(pair.Value)
			}
		}
	}
	return y.lines, nil
}

// yamlReader collects settings from a parsed document.
type yamlReader struct {
	anchors map[string]ast.Node
	lines   []line
	depth   int
}

// section collects the pairs of a mapping, those that it merges included.
func (y *yamlReader) section(node ast.Node) {
	for _, pair := range y.pairs(node) {
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			if y.depth < maxIncludes {
				y.depth++
				y.section(pair.Value)
				y.depth--
			}
			continue
		}
		key, number := y.key(pair), pair.Key.GetToken().Position.Line
		if items, ok := y.resolve(pair.Value).(*ast.SequenceNode); ok {
			for _, item := range items.Values {
				y.add(key, item, item.GetToken().Position.Line)
			}
			continue
		}
		y.add(key, pair.Value, number)
	}
}

func (y *yamlReader) add(key string, node ast.Node, number int) {
	switch v := y.resolve(node).(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		// A mapping or list within has no meaning to any option.
	case *ast.NullNode:
		y.lines = append(y.lines, line{key, "", number})
	case *ast.LiteralNode:
		y.lines = append(y.lines, line{key, strings.TrimRight(v.Value.Value, "\n"), number})
	case *ast.StringNode:
		y.lines = append(y.lines, line{key, v.Value, number})
	default:
		y.lines = append(y.lines, line{key, v.GetToken().Value, number})
	}
}

// pairs returns what a mapping holds; nothing for other nodes.
func (y *yamlReader) pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := y.resolve(node).(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func (y *yamlReader) key(pair *ast.MappingValueNode) string {
	if s, ok := y.resolve(pair.Key).(*ast.StringNode); ok {
		return s.Value
	}
	return pair.Key.GetToken().Value
}

// resolve follows aliases and takes tags and anchors off.
func (y *yamlReader) resolve(node ast.Node) ast.Node {
	for range maxIncludes {
		switch n := node.(type) {
		case *ast.AnchorNode:
			y.anchors[n.Name.GetToken().Value] = n.Value
			node = n.Value
		case *ast.AliasNode:
			target, ok := y.anchors[n.Value.GetToken().Value]
			if !ok {
				return n.Value
			}
			node = target
		case *ast.TagNode:
			node = n.Value
		case *ast.MappingKeyNode:
			node = n.Value
		default:
			return node
		}
	}
	return node
}

// plainYaml reads "key: value" lines below "section:", with lists and quotes.
func plainYaml(text, section string) []line {
	var lines []line
	inside, last, number := false, "", 0
	for raw := range strings.SplitSeq(text, "\n") {
		number++
		s := strings.TrimSpace(raw)
		switch {
		case s == "" || s[0] == '#' || strings.HasPrefix(s, "---"):
		case raw[0] != ' ' && raw[0] != '\t':
			key, value, ok := cutYamlPair(uncommented(s))
			inside = ok && value == "" && unquoted(key) == section
		case !inside:
		case strings.HasPrefix(s, "- "):
			lines = append(lines, line{last, unquoted(uncommented(s[2:])), number})
		default:
			key, value, ok := cutYamlPair(s)
			last = unquoted(key)
			if value = unquoted(uncommented(value)); ok && value != "" {
				lines = append(lines, line{last, value, number})
			}
		}
	}
	return lines
}

// cutYamlPair splits at the first colon with a blank, or the line's end, after it. Blanks may stand before it too.
func cutYamlPair(s string) (key, value string, ok bool) {
	for i := range len(s) {
		if s[i] == ':' && (i+1 == len(s) || s[i+1] == ' ' || s[i+1] == '\t') {
			return strings.TrimRight(s[:i], " \t"), s[i+1:], true
		}
	}
	return s, "", false
}

// uncommented drops a # with a blank before it, and what follows.
func uncommented(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && (s[i-1] == ' ' || s[i-1] == '\t') {
			s = s[:i]
			break
		}
	}
	return strings.TrimSpace(s)
}

func unquoted(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
