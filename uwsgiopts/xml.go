package uwsgiopts

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// element is an XML element with its place in the file.
type element struct {
	name     string
	attrs    map[string]string
	text     string
	line     int
	children []*element
}

// parseXML returns the children of <uwsgi>: the root, or the first below it. A section
// other than uwsgi is an id attribute, which the elements without one match too.
func parseXML(text, section string) ([]line, error) {
	root, err := readXML(text)
	if err != nil {
		return nil, err
	}
	id := section
	if id == "uwsgi" {
		id = ""
	}
	if root.name != "uwsgi" {
		if root = root.child("uwsgi", id); root == nil {
			return nil, errors.New("there is no <uwsgi> element for the section")
		}
	}
	var lines []line
	for _, e := range root.children {
		if !e.matches(id) {
			continue
		}
		if e.name == "app" {
			lines = append(lines, e.mounts()...)
			continue
		}
		value := e.text
		if value == "" {
			value = "1"
		}
		lines = append(lines, line{e.name, value, e.line})
	}
	return lines, nil
}

// mounts turns <app mountpoint="/x">application</app> into a mount.
func (e *element) mounts() []line {
	for _, attr := range []string{"mountpoint", "domain"} {
		point, ok := e.attrs[attr]
		if !ok {
			continue
		}
		app := strings.TrimSpace(e.text)
		for _, inner := range e.children {
			app = strings.TrimSpace(inner.text)
		}
		return []line{{"mount", point + "=" + app, e.line}}
	}
	return nil
}

func (e *element) child(name, id string) *element {
	for _, c := range e.children {
		if c.name == name && c.matches(id) {
			return c
		}
	}
	return nil
}

func (e *element) matches(id string) bool {
	own, has := e.attrs["id"]
	return id == "" || !has || own == id
}

const maxXMLDepth = 100

// readXML builds the tree of elements.
func readXML(text string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	var open []*element
	var root *element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("invalid XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) > maxXMLDepth {
				return nil, errors.New("invalid XML: nested too deep")
			}
			number, _ := d.InputPos()
			e := &element{name: t.Name.Local, attrs: map[string]string{}, line: number}
			for _, a := range t.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			} else if root == nil {
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			}
		}
	}
	if root == nil {
		return nil, errors.New("invalid XML: there is no element")
	}
	return root, nil
}
