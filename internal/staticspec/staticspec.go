// Package staticspec is what the options say about files that are sent without the
// application: the master checks it, transports/static goes by it.
package staticspec

import (
	"fmt"
	"regexp"
)

// Options say where files are and how they are answered. Directories are absolute.
type Options struct {
	Check        []string // --check-static: directories that the whole path is looked for in
	Maps         []Map    // --static-map: the prefix is cut off the path
	WholeMaps    []Map    // --static-map2: the prefix stays
	DocumentRoot bool     // --check-static-docroot
	SkipSuffixes []string // --static-skip-ext, matched with the path of the request
	Index        []string // --static-index
	Safe         []string // --static-safe: directories that links may lead to
	MimeFiles    []string // --mime-file; none: /etc/mime.types

	Expires         []Expiry // --static-expires: by file name
	ExpiresPathInfo []Expiry
	ExpiresURI      []Expiry
	ExpiresType     []Expiry // the pattern is a MIME type

	Compressed         []string // --static-gzip: patterns of file names
	CompressedAll      bool     // --static-gzip-all
	CompressedPrefixes []string // --static-gzip-dir
	CompressedSuffixes []string // --static-gzip-ext

	Ranges  bool   // --honour-range
	Handoff string // --file-serve-mode: the header field that names the file to the front end; "": send it
}

// Map is one --static-map: paths below Prefix are files below Dir, which may be a file too.
type Map struct{ Prefix, Dir string }

// Expiry is one rule for the Expires field.
type Expiry struct {
	Pattern   string
	Seconds   int64
	FromMtime bool // counted from the file's change, not from now
}

// Rules are the patterns of Options, compiled.
type Rules struct {
	Expires, ExpiresPathInfo, ExpiresURI []Rule
	Compressed                           []*regexp.Regexp
}

// Rule is an Expiry whose pattern is a regular expression.
type Rule struct {
	Expiry
	Match *regexp.Regexp
}

// Compile compiles the patterns; the error names the option.
func (o *Options) Compile() (*Rules, error) {
	rules := &Rules{}
	for _, pattern := range o.Compressed {
		match, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("static-gzip: %w", err)
		}
		rules.Compressed = append(rules.Compressed, match)
	}
	for _, list := range []struct {
		name  string
		given []Expiry
		rules *[]Rule
	}{
		{"static-expires", o.Expires, &rules.Expires},
		{"static-expires-path-info", o.ExpiresPathInfo, &rules.ExpiresPathInfo},
		{"static-expires-uri", o.ExpiresURI, &rules.ExpiresURI},
	} {
		for _, e := range list.given {
			match, err := regexp.Compile(e.Pattern)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list.name, err)
			}
			*list.rules = append(*list.rules, Rule{e, match})
		}
	}
	return rules, nil
}
