package tlsconfig

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"envoxyd/internal/tlsspec"
)

const (
	dirPause = 3 * time.Second // between two looks at the same host's files
	mostFile = 1 << 20         // of a file, in bytes
)

// directory finds certificates by host name in files: those of --sni-dir, or of those that others name. They are read when a
// client first asks for the host, with the rights of this process, and again when they have changed.
type directory struct {
	store *Store
	what  string // in the log
	now   func() time.Time

	// named are the files of a host, which is in lower case; false: it has none.
	named func(host string) (tlsspec.Certificate, bool)
	// mayLack: no client is asked for a certificate where there is no file of a CA.
	mayLack bool

	mu    sync.Mutex
	hosts map[string]*host // that have been found
}

// host is one host of a directory.
type host struct {
	config *tls.Config // nil: the files have been of no use so far
	named  [3]string   // the files
	stamps [3]stamp    // as they were read last
	looked time.Time
	set    *set // whose seeds the configuration has
	files  map[string][]byte
}

// stamp tells whether a file is another one than before.
type stamp struct {
	size  int64
	time  time.Time
	there bool
}

// newDirectory has HOST.crt, HOST.key, and HOST.ca for the certificates that clients may show.
func newDirectory(s *Store) *directory {
	return &directory{store: s, what: "sni-dir", now: time.Now, hosts: map[string]*host{}, mayLack: true,
		named: func(name string) (tlsspec.Certificate, bool) {
			path := filepath.Join(s.spec.Dir, name)
			return tlsspec.Certificate{Cert: path + ".crt", Key: path + ".key", ClientCA: path + ".ca", Ciphers: s.spec.DirCiphers}, true
		}}
}

// AlsoNamed has the store look for the files of hosts that nothing else knows: named tells those of a host, in lower case. It is
// called before the store is used.
func (s *Store) AlsoNamed(what string, named func(host string) (tlsspec.Certificate, bool)) {
	s.named = &directory{store: s, what: what, now: time.Now, hosts: map[string]*host{}, named: named}
}

// refusing ends every handshake.
var refusing = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("the certificates that clients of this host have to show cannot be read")
}}

// find returns the configuration of a host, which is in lower case; nil: the directory has none.
func (d *directory) find(name string, now *set) *tls.Config {
	if !hostName(name) {
		return nil
	}
	c, there := d.named(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hosts[name]
	if !there {
		delete(d.hosts, name)
		return nil
	}
	if files := [3]string{c.Cert, c.Key, c.ClientCA}; h == nil || h.named != files {
		h = &host{named: files}
	}
	if at := d.now(); h.looked.IsZero() || at.Sub(h.looked) >= dirPause {
		h.looked = at
		d.look(name, &c, h, now)
	}
	if d.mayLack && !h.stamps[2].there {
		c.ClientCA = ""
	}
	if h.config == nil {
		if h.stamps[0].there { // it is broken: what is said of it is said once
			d.hosts[name] = h
		}
		if c.ClientCA != "" {
			return refusing // the host is not served without the certificates that clients are to show
		}
		return nil
	}
	d.hosts[name] = h
	if h.set != now && !h.config.SessionTicketsDisabled {
		h.config.SetSessionTicketKeys(d.store.ticketKeys(&c, name, Contents{Files: h.files, Seeds: now.seeds}))
		h.set = now
	}
	return h.config
}

// look reads the files if they have changed. Broken ones, and such as are about to be replaced, leave what was there before.
func (d *directory) look(name string, c *tlsspec.Certificate, h *host, now *set) {
	var stamps [3]stamp
	for i, path := range []string{c.Cert, c.Key, c.ClientCA} {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = stamp{info.Size(), info.ModTime(), true}
		}
	}
	if stamps == h.stamps || !stamps[0].there {
		return
	}
	h.stamps = stamps
	if d.mayLack && !stamps[2].there {
		c.ClientCA = ""
	}
	files := map[string][]byte{}
	for _, path := range []string{c.Cert, c.Key, c.ClientCA} {
		if path == "" {
			continue
		}
		text, err := ReadFile(path)
		if err != nil {
			d.store.logf("%s: %v", d.what, err)
			return
		}
		files[path] = text
	}
	config, err := d.store.config(c, name, Contents{Files: files, Seeds: now.seeds})
	if err != nil {
		d.store.logf("%s: %v", d.what, err)
		return
	}
	h.config, h.files, h.set = config, files, now
}

// hostName tells whether a name that a client has sent may be a part of a file's name.
func hostName(name string) bool {
	if name == "" || len(name) > 253 || name[0] == '.' || strings.Contains(name, "..") {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// ReadFile reads a file of certificates or keys. One that is no regular file, or is over a megabyte, is an error.
func ReadFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would be waited for
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not a regular file")}
	}
	if err == nil && info.Size() > mostFile {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it has more than a megabyte")}
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, mostFile))
}
