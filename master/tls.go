package master

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/internal/tlsconfig"
	"envoxyd/internal/tlsspec"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// vaultMemory is the name under which the memory of certificates is kept.
const vaultMemory = "certificates"

// certificates is what the master has of TLS. It reads files, at the start with all its rights; workers read memory.
type certificates struct {
	vault     *tlsconfig.Vault   // nil: no generation has needed it
	seen      map[string]tlsFile // as the files were when they were read last
	changing  map[string]tlsFile // as they were a moment ago, and not when they were read
	reading   bool               // beside the loop
	seedsSeen time.Time          // when it was found out last whether new ticket keys are due
}

// tlsFile tells whether a file is another one than before.
type tlsFile struct {
	inode uint64
	size  int64
	time  time.Time
}

// material is the content of a configuration's files, and how they looked just before they were read.
type material struct {
	files map[string][]byte // by absolute path
	looks map[string]tlsFile
}

// tlsSocket is what workers are told about a socket; context tells it from others.
func tlsSocket(cfg *uwsgiopts.Config, c *uwsgiopts.Certificate, context string) *tlsspec.Socket {
	spec := &tlsspec.Socket{
		Certificate: certificateSpec(cfg, c), Context: context, DirCiphers: cfg.SNIDirCiphers, MinVersion: cfg.TLSOldest, MaxVersion: cfg.TLSNewest,
		NoTickets: cfg.NoTickets, Depth: cfg.VerifyDepth, Verbose: cfg.TLSVerbose, ExportCert: cfg.ExportCert, HTTP2: cfg.HTTP2,
	}
	for i := range cfg.SNI {
		spec.Names = append(spec.Names, nameSpec(cfg, &cfg.SNI[i]))
	}
	if cfg.SNIDir != "" {
		spec.Dir = paths.In(workDir(cfg), cfg.SNIDir)
	}
	return spec
}

// certificateSpec: uWSGI reads certificates before --chdir has its effect.
func certificateSpec(cfg *uwsgiopts.Config, c *uwsgiopts.Certificate) tlsspec.Certificate {
	spec := tlsspec.Certificate{Cert: paths.In(cfg.StartDir, c.Cert), Key: paths.In(cfg.StartDir, c.Key), Ciphers: c.Ciphers, Required: c.Required}
	if c.ClientCA != "" {
		spec.ClientCA = paths.In(cfg.StartDir, c.ClientCA)
	}
	return spec
}

func nameSpec(cfg *uwsgiopts.Config, n *uwsgiopts.SNI) tlsspec.Name {
	return tlsspec.Name{Name: n.Name, Pattern: n.Pattern, Certificate: certificateSpec(cfg, &n.Certificate)}
}

// speaksTLS tells whether a socket of the configuration does.
func speaksTLS(cfg *uwsgiopts.Config) bool {
	for _, s := range cfg.Sockets {
		if s.TLS != nil {
			return true
		}
	}
	return false
}

// readMaterial reads and checks the files of a configuration; nil: it has no TLS. Files that may not be read any more, since
// privileges were dropped, are taken from before, which notes say.
func readMaterial(cfg *uwsgiopts.Config, before map[string][]byte) (m *material, notes []string, problems []error) {
	if !speaksTLS(cfg) {
		return nil, nil, nil
	}
	m = &material{files: map[string][]byte{}, looks: map[string]tlsFile{}}
	check := func(what string, where uwsgiopts.Origin, spec *tlsspec.Socket) {
		for _, path := range spec.Files() {
			note, err := m.read(path, before)
			if err != nil {
				problems = append(problems, &uwsgiopts.ExitError{Status: statusFailed, Origin: where, Err: fmt.Errorf("%s: %w", what, err)})
				return
			}
			if note != "" {
				notes = append(notes, note)
			}
		}
		if err := tlsconfig.Check(spec, m.files); err != nil {
			problems = append(problems, &uwsgiopts.ExitError{Status: statusFailed, Origin: where, Err: fmt.Errorf("%s: %w", what, err)})
		}
	}
	for _, s := range cfg.Sockets {
		if s.TLS != nil {
			check("socket "+s.Address, s.Origin, &tlsspec.Socket{Certificate: certificateSpec(cfg, s.TLS)})
		}
	}
	for i := range cfg.SNI {
		n := nameSpec(cfg, &cfg.SNI[i])
		check("SNI "+n.Name, cfg.SNI[i].Origin, &tlsspec.Socket{Certificate: n.Certificate, Names: []tlsspec.Name{n}})
	}
	if cfg.SNIDir != "" {
		if err := isDirectory(paths.In(workDir(cfg), cfg.SNIDir)); err != nil {
			problems = append(problems, &uwsgiopts.ExitError{Status: statusFailed, Origin: cfg.OriginOf("sni-dir", cfg.SNIDir), Err: fmt.Errorf("sni-dir: %w", err)})
		}
	}
	return m, notes, problems
}

func isDirectory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	return err
}

// read adds a file, unless it is there.
func (m *material) read(path string, before map[string][]byte) (note string, err error) {
	if _, there := m.files[path]; there {
		return "", nil
	}
	look := lookAt(path)
	text, err := tlsconfig.ReadFile(path)
	if known, is := before[path]; is && errors.Is(err, fs.ErrPermission) {
		note, text, err = fmt.Sprintf("TLS: %v (uid %d): it goes on as it was read before", err, os.Geteuid()), known, nil
	}
	if err != nil {
		return "", err
	}
	m.files[path], m.looks[path] = text, look
	return note, nil
}

// copyTo puts the files beside what is in a vault.
func (m *material) copyTo(c *tlsconfig.Contents) bool {
	maps.Copy(c.Files, m.files)
	return true
}

// lookAt is zero for a file that is not there.
func lookAt(path string) tlsFile {
	var is unix.Stat_t
	if unix.Stat(path, &is) != nil {
		return tlsFile{}
	}
	return tlsFile{is.Ino, is.Size, time.Unix(is.Mtim.Unix())}
}

// readCertificates reads them for the start. What the previous master has read is what is left of files that this one may not read.
func (m *master) readCertificates(cfg *uwsgiopts.Config) (*material, error) {
	var before map[string][]byte
	if speaksTLS(cfg) && m.upgrader.second {
		if err := m.openVault(); err != nil {
			return nil, err
		}
		if contents, err := m.certificates.vault.Read(); err == nil { // else the previous master had no TLS
			before = contents.Files
		}
	}
	return firstProblem(readMaterial(cfg, before))
}

// firstProblem logs the notes and returns the first problem.
func firstProblem(found *material, notes []string, problems []error) (*material, error) {
	for _, note := range notes {
		logf("%s", note)
	}
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return found, nil
}

// readFiles are the files that the serving generation has.
func (m *master) readFiles() map[string][]byte {
	if m.current == nil || m.current.material == nil {
		return nil
	}
	return m.current.material.files
}

func (m *master) openVault() error {
	if m.certificates.vault != nil {
		return nil
	}
	file, err := m.owned.kept.Memory(vaultMemory, tlsconfig.NewVaultFile)
	if err == nil {
		m.certificates.vault, err = tlsconfig.OpenVault(int(file.Fd()))
	}
	if err != nil {
		return fmt.Errorf("memory of certificates: %w", err)
	}
	return nil
}

// offerCertificates puts what a generation needs beside what the serving one has.
func (m *master) offerCertificates(g *generation) error {
	if g.material == nil {
		return nil
	}
	if err := m.openVault(); err != nil {
		return err
	}
	return m.changeVault(g.material.copyTo)
}

// changeVault rewrites the vault, if change has changed it. New ticket keys are made when it is time to.
func (m *master) changeVault(change func(c *tlsconfig.Contents) bool) error {
	now := m.sys.now()
	m.certificates.seedsSeen = now
	contents, err := m.certificates.vault.Read()
	if err != nil { // it is new
		contents = tlsconfig.Contents{Files: map[string][]byte{}}
	}
	changed := change(&contents)
	if !contents.Rotate(now) && !changed {
		return nil
	}
	return m.certificates.vault.Write(contents)
}

// inheritVault has zygote and workers inherit the memory of certificates; -1: they need none.
func (g *generation) inheritVault(i *inheritance) (int, error) {
	if g.material == nil {
		return -1, nil
	}
	file, err := g.m.owned.kept.Memory(vaultMemory, tlsconfig.NewVaultFile)
	if err != nil {
		return -1, err
	}
	return i.add(file.Fd()), nil
}

// tlsSpec is what workers are told about TLS on one of the generation's sockets; nil: it is spoken in the clear.
func (g *generation) tlsSpec(s *sockets.Socket) *tlsspec.Socket {
	if s.TLS == nil {
		return nil
	}
	return tlsSocket(g.cfg, s.TLS, s.Protocol+" "+s.Key)
}

// useCertificates leaves in memory only what the serving generation has. Workers that leave keep what they have made of the rest.
func (m *master) useCertificates(g *generation) {
	m.certificates.seen, m.certificates.changing = nil, nil
	if m.certificates.vault == nil {
		return
	}
	files := map[string][]byte{}
	if g.material != nil {
		files, m.certificates.seen = g.material.files, g.material.looks
	}
	if err := m.changeVault(func(c *tlsconfig.Contents) bool { c.Files = files; return true }); err != nil {
		logf("%v", err)
	}
}

// watchCertificates reads files again that have changed, and changes no more. Ticket keys are replaced in time.
func (m *master) watchCertificates() {
	c := &m.certificates
	if m.current == nil || m.current.material == nil || c.reading || m.upgrader.busy || m.life.upgraded {
		return
	}
	if m.sys.now().Sub(c.seedsSeen) >= time.Hour {
		if err := m.changeVault(func(*tlsconfig.Contents) bool { return false }); err != nil {
			logf("%v", err)
		}
	}
	looks := map[string]tlsFile{}
	for path := range c.seen {
		looks[path] = lookAt(path)
	}
	switch {
	case maps.Equal(looks, c.seen):
		c.changing = nil
		return
	case !maps.Equal(looks, c.changing): // whoever writes them is not done yet, it may be
		c.changing = looks
		return
	}
	c.seen, c.changing, c.reading = looks, nil, true
	g, cfg, before := m.current, m.current.cfg, m.current.material.files
	m.beside(func() event {
		found, err := firstProblem(readMaterial(cfg, before))
		return func(m *master) { m.certificatesRead(g, found, err) }
	})
}

// certificatesRead offers what was read to the workers, unless it is of no use.
func (m *master) certificatesRead(g *generation, found *material, err error) {
	m.certificates.reading = false
	if g != m.current {
		return
	}
	if err != nil {
		logf("TLS: %v: the certificates from before go on", err)
		return
	}
	if sameFiles(found.files, g.material.files) {
		return
	}
	g.material = found
	if err := m.changeVault(found.copyTo); err != nil {
		logf("%v", err)
		return
	}
	logf("TLS: certificates have changed, new connections get them")
}

func sameFiles(a, b map[string][]byte) bool {
	return maps.EqualFunc(a, b, func(x, y []byte) bool { return string(x) == string(y) })
}
