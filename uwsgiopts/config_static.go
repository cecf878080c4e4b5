package uwsgiopts

import (
	"fmt"
	"strings"
)

// StaticConfig is what is said about files that are sent without the application.
// Directories are as they were written: see Config.Chdir for what they relate to.
type StaticConfig struct {
	CheckStatic        []string
	CheckStaticDocroot bool
	StaticMaps         [][2]string // --static-map: prefix and directory or file
	StaticWholeMaps    [][2]string // --static-map2
	StaticSkipExt      []string
	StaticIndex        []string
	StaticSafe         []string
	MimeFiles          []string

	StaticExpires         []Expiry
	StaticExpiresPathInfo []Expiry
	StaticExpiresURI      []Expiry
	StaticExpiresType     []Expiry // the pattern is a MIME type

	StaticGzip         []string // regular expressions
	StaticGzipAll      bool
	StaticGzipPrefixes []string
	StaticGzipSuffixes []string

	HonourRange   bool
	FileServeMode string // "", X-Accel-Redirect or X-Sendfile
	Offload       int    // --offload-threads
}

// Expiry is one rule for the Expires header: a pattern, and seconds from now or from the file's change.
type Expiry struct {
	Pattern   string
	Seconds   int64
	FromMtime bool
}

// Static tells whether any option asks for files to be served.
func (c *StaticConfig) Static() bool {
	return len(c.CheckStatic)+len(c.StaticMaps)+len(c.StaticWholeMaps) > 0 || c.CheckStaticDocroot
}

// staticMap splits PREFIX=DIRECTORY.
func staticMap(field func(c *Config) *[][2]string) effect {
	return Mapping.by(func(c *Config, g given) error {
		if err := g.check(Mapping); err != nil {
			return err
		}
		prefix, dir, _ := strings.Cut(g.text, "=")
		*field(c) = append(*field(c), [2]string{prefix, dir})
		return nil
	})
}

// expiryByPattern splits REGEXP SECONDS at the last blank; expiryByType splits TYPE=SECONDS.
func expiryByPattern(field func(c *Config) *[]Expiry, fromMtime bool) effect {
	return PatternMapping.by(func(c *Config, g given) error {
		if err := g.check(PatternMapping); err != nil {
			return err
		}
		text := strings.TrimSpace(g.text)
		blank := strings.LastIndexAny(text, " \t")
		return addExpiry(field(c), g, strings.TrimSpace(text[:blank+1]), text[blank+1:], fromMtime)
	})
}

func expiryByType(fromMtime bool) effect {
	return Mapping.by(func(c *Config, g given) error {
		if err := g.check(Mapping); err != nil {
			return err
		}
		kind, seconds, _ := strings.Cut(g.text, "=")
		return addExpiry(&c.StaticExpiresType, g, kind, seconds, fromMtime)
	})
}

func addExpiry(list *[]Expiry, g given, pattern, seconds string, fromMtime bool) error {
	n, rest, err := leadingInt(seconds)
	if err != nil || rest == seconds || n < 0 || n > maxExpiry {
		return fmt.Errorf("option %q: %q is not a number of seconds", g.name, seconds)
	}
	g.noteRest(rest, n)
	*list = append(*list, Expiry{pattern, n, fromMtime})
	return nil
}

// maxExpiry is 100 years in seconds: further on, dates do not fit their form.
const maxExpiry = 100 * 366 * 86400

func setFileServeMode(c *Config, g given) error {
	switch strings.ToLower(g.text) {
	case "nginx", "x-accel-redirect", "xaccelredirect":
		c.FileServeMode = "X-Accel-Redirect"
	case "x-sendfile", "xsendfile":
		c.FileServeMode = "X-Sendfile"
	default:
		g.notice("option %q: %q is not one of nginx, x-accel-redirect, x-sendfile: files are sent by envoxyd itself", g.name, g.text)
		c.FileServeMode = ""
	}
	return nil
}
