package uwsgiopts

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

func flagOn(field func(c *Config) *bool) effect {
	return Flag.by(func(c *Config, g given) error { *field(c) = g.on(); return nil }).showing(func(c *Config) string {
		if *field(c) {
			return "on"
		}
		return ""
	})
}

// shownNumber writes a number that is a default; 0 and less mean that there is none.
func shownNumber[N int | int64](n N) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

func number(field func(c *Config) *int) effect {
	return Int.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxInt32)
		*field(c) = int(n)
		return err
	}).showing(func(c *Config) string { return shownNumber(*field(c)) })
}

func wide(field func(c *Config) *int64) effect {
	return Wide.by(func(c *Config, g given) (err error) { *field(c), err = g.integer(math.MaxInt64); return }).showing(func(c *Config) string { return shownNumber(*field(c)) })
}

func size(field func(c *Config) *int64) effect {
	return Bytes.by(func(c *Config, g given) (err error) { *field(c), err = g.bytes(); return }).showing(func(c *Config) string { return shownNumber(*field(c)) })
}

// smallSize is size for fields that are held as int.
func smallSize(field func(c *Config) *int) effect {
	return Bytes.by(func(c *Config, g given) error {
		n, err := g.bytes()
		if err == nil && n > math.MaxInt32 {
			err = fmt.Errorf("option %q: %q is too large", g.name, g.text)
		}
		*field(c) = int(n)
		return err
	}).showing(func(c *Config) string { return shownNumber(*field(c)) })
}

func megabytes(field func(c *Config) *int64) effect {
	return Megabytes.by(func(c *Config, g given) (err error) { *field(c), err = g.megabytes(); return }).showing(func(c *Config) string { return shownNumber(*field(c) >> 20) })
}

// oneOf takes one of the given words.
func oneOf(field func(c *Config) *string, words ...string) effect {
	return Text.by(func(c *Config, g given) error {
		if !slices.Contains(words, g.text) {
			return fmt.Errorf("option %q: %q is not one of %s", g.name, g.text, strings.Join(words, ", "))
		}
		*field(c) = g.text
		return nil
	}).showing(func(c *Config) string { return *field(c) })
}

// kilobytes is a size that is given in units of 1024 bytes.
func kilobytes(field func(c *Config) *int64) effect {
	return Wide.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxInt64 >> 10)
		*field(c) = n << 10
		return err
	}).showing(func(c *Config) string { return shownNumber(*field(c) >> 10) })
}

// seconds caps at 68 years, so that no sum of durations overflows.
func seconds(field func(c *Config) *time.Duration) effect {
	return Int.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxInt32)
		*field(c) = time.Duration(n) * time.Second
		return err
	}).showing(func(c *Config) string { return shownNumber(int64(*field(c) / time.Second)) })
}

func text(field func(c *Config) *string) effect {
	return Text.by(func(c *Config, g given) error { *field(c) = g.text; return nil }).showing(func(c *Config) string { return *field(c) })
}

func list(field func(c *Config) *[]string) effect {
	return List.by(func(c *Config, g given) error { *field(c) = append(*field(c), g.text); return nil })
}

// lastText keeps every text that is given; the last one counts.
func lastText(field func(c *Config) *[]string) effect {
	return Text.by(list(field).set)
}

// socket adds a socket; protocol "" stands for what --protocol names.
func socket(protocol string) effect {
	return List.by(func(c *Config, g given) error {
		if g.text == "" {
			return fmt.Errorf("option %q needs an address", g.name)
		}
		c.Sockets = append(c.Sockets, Socket{Protocol: protocol, Address: g.text})
		return nil
	})
}

func setChmodSocket(c *Config, g given) error {
	if g.flag || g.text == "" || g.text == "1" {
		c.ChmodSocket = 0o666
		return nil
	}
	mode, err := strconv.ParseUint(g.text, 8, 32)
	if err != nil || len(g.text) != 3 {
		return fmt.Errorf("invalid value %q for option %q: three octal digits are needed", g.text, g.name)
	}
	c.ChmodSocket = int(mode)
	return nil
}

func setUmask(c *Config, g given) error {
	mode, err := strconv.ParseUint(g.text, 8, 32)
	if err != nil || mode > 0o777 {
		return fmt.Errorf("invalid value %q for option %q: an octal mode is needed", g.text, g.name)
	}
	c.Umask = int(mode)
	return nil
}

// setMemoryReport takes the words for yes, which many files use although a level is wanted.
func setMemoryReport(c *Config, g given) error {
	switch g.text {
	case "true", "True", "yes", "on", "false", "False", "no", "off":
		c.MemoryReport = 0
		if g.on() {
			c.MemoryReport = 1
		}
		return nil
	}
	n, err := g.integer(math.MaxInt32)
	c.MemoryReport = int(n)
	return err
}

// setMaxVars counts keys and values separately, as the request block does.
func setMaxVars(c *Config, g given) error {
	n, err := g.integer(math.MaxInt32 / 2)
	c.MaxVars = 2 * int(n)
	return err
}

// setManageExpect: 0 is off, 1 lets every body in, a larger number is the largest body.
func setManageExpect(c *Config, g given) error {
	n, err := g.integer(math.MaxInt64)
	switch n {
	case 0:
		c.HTTPManageExpect = -1
	case 1:
		c.HTTPManageExpect = 0
	default:
		c.HTTPManageExpect = n
	}
	return err
}

func setLogDate(c *Config, g given) error {
	switch {
	case g.flag || g.text == "" || g.text == "true":
		c.LogDate = "true"
	case !g.on():
		c.LogDate = ""
	default:
		c.LogDate = g.text
	}
	return nil
}

// setEnv keeps KEY=VALUE; KEY alone removes the variable, as putenv does.
func setEnv(c *Config, g given) error {
	c.Env = append(c.Env, g.text)
	return nil
}

func setStats(c *Config, g given) error {
	c.Stats = []string{g.text}
	return nil
}

func setProcnamePrefixSpaced(c *Config, g given) error {
	c.ProcnamePrefix = g.text + " "
	return nil
}

// setUnenv removes a variable at its place among the env options.
func setUnenv(c *Config, g given) error {
	name, _, _ := strings.Cut(g.text, "=")
	c.Env = append(c.Env, name)
	return nil
}

func milliseconds(field func(c *Config) *time.Duration) effect {
	return Int.by(func(c *Config, g given) error {
		n, err := g.integer(math.MaxInt32)
		*field(c) = time.Duration(n) * time.Millisecond
		return err
	}).showing(func(c *Config) string { return shownNumber(int64(*field(c) / time.Millisecond)) })
}

func setUID(c *Config, g given) error {
	if _, err := LookupUID(g.text); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.UID = g.text
	return nil
}

func setGID(c *Config, g given) error {
	if _, err := LookupGID(g.text); err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.GID = g.text
	return nil
}
