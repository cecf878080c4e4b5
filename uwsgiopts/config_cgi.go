package uwsgiopts

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// CGIConfig is what is said about CGI programs. Names of files are as they were written: see Config.Chdir for what they relate to.
type CGIConfig struct {
	CGIMaps         [][2]string // --cgi: prefix of paths, "" for all; directory or program
	CGIHelpers      [][2]string // suffix and program
	CGIDocumentRoot bool
	CGITimeout      time.Duration // 0: none
	CGIIndex        []string
	CGIAllowedExt   []string
	CGIUnset        []string
	CGISafe         []string
	CGILeaveRunning bool
	CGIKeepLinks    bool

	Modifier1 Modifiers1
}

// Modifiers1 is what requests are for whose protocol has no modifier, by the kind of socket: Python applications or ModifierCGI.
type Modifiers1 struct{ HTTP, HTTPSocket, HTTPSSocket, FastCGI, SCGI byte }

// ModifierCGI is the modifier1 of requests for CGI programs.
const ModifierCGI = 9

// CGI tells whether any option says where programs are.
func (c *CGIConfig) CGI() bool { return len(c.CGIMaps) > 0 || c.CGIDocumentRoot }

// addCGI splits [/PATH=]FILE_OR_DIRECTORY.
func addCGI(c *Config, g given) error {
	prefix, path, mapped := strings.Cut(g.text, "=")
	if !mapped {
		prefix, path = "", g.text
	}
	switch {
	case path == "":
		return fmt.Errorf("option %q: %q names no file or directory", g.name, g.text)
	case mapped && !strings.HasPrefix(prefix, "/"):
		return fmt.Errorf("option %q: %q is not a path: a path begins with a slash", g.name, prefix)
	}
	c.CGIMaps = append(c.CGIMaps, [2]string{prefix, path})
	return nil
}

// addCGIHelper splits SUFFIX=PROGRAM.
func addCGIHelper(c *Config, g given) error {
	suffix, program, ok := strings.Cut(g.text, "=")
	switch {
	case !ok || suffix == "" || program == "":
		return fmt.Errorf("option %q: %q is not SUFFIX=PROGRAM", g.name, g.text)
	case strings.HasPrefix(program, "sym://"):
		return fmt.Errorf("option %q: %s is a C function; programs are started, not loaded: name an interpreter", g.name, program)
	}
	c.CGIHelpers = append(c.CGIHelpers, [2]string{suffix, program})
	return nil
}

// modifier1 takes what is served.
func modifier1(field func(c *Config) *byte) effect {
	return Int.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxUint8)
		if err == nil && n != 0 && n != ModifierCGI {
			err = fmt.Errorf("option %q: modifier %d is not served: only 0 (Python) and 9 (CGI) are", g.name, n)
		}
		*field(c) = byte(n)
		return err
	})
}

// validateCGI refuses sockets for programs that there are none of.
func (p *parser) validateCGI() error {
	if p.cfg.CGI() {
		return nil
	}
	for _, one := range []struct {
		option string
		value  byte
	}{
		{"http-modifier1", p.cfg.Modifier1.HTTP}, {"http-socket-modifier1", p.cfg.Modifier1.HTTPSocket},
		{"https-socket-modifier1", p.cfg.Modifier1.HTTPSSocket},
		{"fastcgi-modifier1", p.cfg.Modifier1.FastCGI}, {"scgi-modifier1", p.cfg.Modifier1.SCGI},
	} {
		if one.value == ModifierCGI {
			return p.refuseValue(one.option, "modifier %d is for CGI programs, and none are configured: add --cgi", ModifierCGI)
		}
	}
	return nil
}
