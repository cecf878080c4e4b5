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

// directory finds certificates by host name: HOST.crt, HOST.key, and HOST.ca for those that clients may show. They are read when a
// client first asks for the host, with the worker's rights, and again when they have changed.
type directory struct {
	store *Store
	now   func() time.Time

	mu    sync.Mutex
	hosts map[string]*host // that have been found
}

// host is one host of a directory.
type host struct {
	config *tls.Config // nil: the files have been of no use so far
	stamps [3]stamp    // of the files as they were read last
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

func newDirectory(s *Store) *directory {
	return &directory{store: s, now: time.Now, hosts: map[string]*host{}}
}

// find returns the configuration of a host, which is in lower case; nil: the directory has none.
func (d *directory) find(name string, now *set) *tls.Config {
	if !hostName(name) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hosts[name]
	if h == nil {
		h = &host{}
	}
	if at := d.now(); h.looked.IsZero() || at.Sub(h.looked) >= dirPause {
		h.looked = at
		d.look(name, h, now)
	}
	if h.config == nil {
		if h.stamps[0].there { // it is broken: what is said of it is said once
			d.hosts[name] = h
		}
		return nil
	}
	d.hosts[name] = h
	if h.set != now && !h.config.SessionTicketsDisabled {
		c := d.certificate(name, h.stamps[2].there)
		h.config.SetSessionTicketKeys(d.store.ticketKeys(&c, name, Contents{Files: h.files, Seeds: now.seeds}))
		h.set = now
	}
	return h.config
}

// look reads the files if they have changed. Broken ones, and such as are about to be replaced, leave what was there before.
func (d *directory) look(name string, h *host, now *set) {
	c := d.certificate(name, true)
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
	if !stamps[2].there {
		c.ClientCA = ""
	}
	files := map[string][]byte{}
	for _, path := range []string{c.Cert, c.Key, c.ClientCA} {
		if path == "" {
			continue
		}
		text, err := ReadFile(path)
		if err != nil {
			d.store.logf("sni-dir: %v", err)
			return
		}
		files[path] = text
	}
	config, err := d.store.config(&c, name, Contents{Files: files, Seeds: now.seeds})
	if err != nil {
		d.store.logf("sni-dir: %v", err)
		return
	}
	h.config, h.files, h.set = config, files, now
}

func (d *directory) certificate(name string, ca bool) tlsspec.Certificate {
	path := filepath.Join(d.store.spec.Dir, name)
	c := tlsspec.Certificate{Cert: path + ".crt", Key: path + ".key", Ciphers: d.store.spec.DirCiphers}
	if ca {
		c.ClientCA = path + ".ca"
	}
	return c
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
