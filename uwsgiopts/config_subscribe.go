package uwsgiopts

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"envoxyd/protocol/subscription"
)

// Subscribe is one announcement of this instance to a router.
type Subscribe struct {
	Text      string // as it was given
	Server    string
	Key       string
	Modifier1 byte
	Modifier2 byte
	Address   string // "": that of Socket
	Socket    int    // number of one of this instance's own
	Weight    int
	Backup    int
	Protocol  string
	Algorithm string
	Check     string // file that has to be there; "": none
	Vassal    string

	SNIKey, SNICert, SNICA string

	Digest  crypto.Hash // 0: it is not signed
	KeyFile string      // of the private key
}

// setSubscribe reads SERVER:KEY[,MODIFIER1[,DIGEST:KEYFILE]]; the key may be @FILE with a key, and perhaps the rest, on each line.
func setSubscribe(c *Config, g given) error {
	server, rest := splitServer(g.text)
	if server == "" || rest == "" {
		return fmt.Errorf("option %q: %q is not SERVER:KEY", g.name, g.text)
	}
	lines := []string{rest}
	if file, is := strings.CutPrefix(rest, "@"); is {
		if !filepath.IsAbs(file) {
			file = filepath.Join(c.StartDir, file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("option %q: %w", g.name, err)
		}
		lines = strings.Split(string(text), "\n")
	}
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, ",", 3)
		s := Subscribe{Text: server + ":" + line, Server: server, Key: parts[0]}
		if len(parts) > 1 {
			if err := s.set("modifier1", parts[1]); err != nil {
				return fmt.Errorf("option %q: %w", g.name, err)
			}
		}
		if len(parts) > 2 {
			if err := s.set("sign", parts[2]); err != nil {
				return fmt.Errorf("option %q: %w", g.name, err)
			}
		}
		c.Subscribe = append(c.Subscribe, s)
	}
	return nil
}

// splitServer takes the address off SERVER:KEY: a path or @name up to the first colon, else host and port.
func splitServer(text string) (server, rest string) {
	from := 0
	if text != "" && text[0] != '/' && text[0] != '@' && !strings.Contains(text[:max(strings.IndexByte(text, ':'), 0)], "/") {
		if strings.HasPrefix(text, "[") { // an address of IPv6
			from = strings.Index(text, "]:") + 1
		} else {
			from = strings.IndexByte(text, ':')
		}
		if from <= 0 {
			return "", ""
		}
		from++
	}
	colon := strings.IndexByte(text[from:], ':')
	if colon < 0 {
		return "", ""
	}
	return text[:from+colon], text[from+colon+1:]
}

// setSubscribe2 reads server=ADDRESS,key=KEY,….
func setSubscribe2(c *Config, g given) error {
	s := Subscribe{Text: g.text}
	for part := range strings.SplitSeq(g.text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("option %q: %q is not NAME=VALUE", g.name, part)
		}
		if err := s.set(name, value); err != nil {
			return fmt.Errorf("option %q: %w", g.name, err)
		}
	}
	if s.Server == "" || s.Key == "" {
		return fmt.Errorf("option %q: %q has no server or no key", g.name, g.text)
	}
	c.Subscribe = append(c.Subscribe, s)
	return nil
}

// set takes one property.
func (s *Subscribe) set(name, value string) error {
	texts := map[string]*string{"server": &s.Server, "key": &s.Key, "addr": &s.Address, "address": &s.Address, "check": &s.Check, "vassal": &s.Vassal,
		"sni_key": &s.SNIKey, "sni_crt": &s.SNICert, "sni_ca": &s.SNICA}
	if field := texts[name]; field != nil {
		*field = value
		return nil
	}
	switch name {
	case "modifier1", "modifier2":
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return fmt.Errorf("%s %q is not between 0 and 255", name, value)
		}
		if name == "modifier1" {
			s.Modifier1 = byte(n)
		} else {
			s.Modifier2 = byte(n)
		}
	case "weight", "socket", "backup":
		n, err := strconv.ParseUint(value, 10, 20)
		if err != nil {
			return fmt.Errorf("%s %q is not a number, or too large", name, value)
		}
		*map[string]*int{"weight": &s.Weight, "socket": &s.Socket, "backup": &s.Backup}[name] = int(n)
	case "proto":
		if value != "http" && value != "uwsgi" {
			return fmt.Errorf("proto %q is neither uwsgi nor http", value)
		}
		s.Protocol = value
	case "algo":
		if !slices.Contains(algorithms, value) {
			return fmt.Errorf("algo %q is not one of %s", value, strings.Join(algorithms, ", "))
		}
		s.Algorithm = value
	case "sign":
		digest, file, ok := strings.Cut(value, ":")
		if !ok || file == "" {
			return fmt.Errorf("sign %q is not DIGEST:KEYFILE", value)
		}
		hash, err := subscription.Digest(digest)
		if err != nil {
			return err
		}
		s.Digest, s.KeyFile = hash, file
	default:
		return fmt.Errorf("unknown property %q; known: server, key, addr, socket, modifier1, modifier2, weight, backup, proto, algo, check, sign, vassal, sni_key, sni_crt, sni_ca", name)
	}
	return nil
}

// algorithms are those of router/nodes.
var algorithms = []string{"wrr", "lrc", "wlrc", "iphash"}
