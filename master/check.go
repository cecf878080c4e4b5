package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/master/logging"
	"envoxyd/master/sockets"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// CheckReport is what --check has found.
type CheckReport struct {
	LeftOut  []string // options that are refused and that --allow-missing lets a start leave out
	Problems []string // what a start would fail of or do wrongly, each with its file and line where known
	Notices  []string // what a start would log and live with
	Status   int      // exit status: 0, 22 when only the application fails, 246 when only envoxy.json does, else 1
}

// Check tells what would be wrong with a start of cfg. It opens no socket and writes no
// file; the application is imported by a process that ends with it.
func Check(cfg *uwsgiopts.Config) *CheckReport {
	c := &checker{cfg: cfg, report: &CheckReport{Notices: slices.Clone(cfg.Notices)}}
	if c.report.LeftOut = cfg.LeftOut; len(cfg.LeftOut) > 0 {
		c.report.Status = statusFailed
	}
	for _, problem := range cfg.Problems {
		status := statusFailed
		var refused *uwsgiopts.ExitError
		if errors.As(problem, &refused) {
			status = refused.Status
		}
		c.add(status, uwsgiopts.Origin{}, "%v", problem)
	}
	c.users()
	c.log()
	c.asMaster(func() {
		var reported unreadableService // by service
		if err := bindOfService(cfg, jail(cfg), inheritsSockets()); err != nil && !errors.As(err, &reported) {
			c.add(statusNoEnvoxy, uwsgiopts.Origin{}, "%v", err)
		}
	})
	c.sockets()
	c.certificates()
	c.writtenFiles()
	c.asWorker(c.readFiles)
	c.asMaster(c.masterFiles)
	var document []byte
	var usable bool
	c.asMaster(func() { document, usable = c.service() })
	if c.directory() && usable && !cfg.OnlyReigns() {
		c.application(document)
	}
	return c.report
}

// checker collects a report.
type checker struct {
	cfg    *uwsgiopts.Config
	report *CheckReport
}

// add takes a problem that a start would end with this status for. Status 1 outdoes
// others, and of those the first counts.
func (c *checker) add(status int, where uwsgiopts.Origin, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if place := where.String(); place != "" {
		text = place + ": " + text
	}
	c.report.Problems = append(c.report.Problems, text)
	if c.report.Status == statusOK || status == statusFailed {
		c.report.Status = status
	}
}

func (c *checker) wrong(where uwsgiopts.Origin, format string, args ...any) {
	c.add(statusFailed, where, format, args...)
}

func (c *checker) note(where uwsgiopts.Origin, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if place := where.String(); place != "" {
		text += " (" + place + ")"
	}
	c.report.Notices = append(c.report.Notices, text)
}

// log looks at loggers, encoders and expressions without opening anything.
func (c *checker) log() {
	plan, err := compileLog(c.cfg)
	if err != nil {
		c.wrong(uwsgiopts.Origin{}, "%v", err)
		return
	}
	c.report.Notices = append(c.report.Notices, plan.Notices...)
}

// users looks up everybody whom the configuration names; --uid and --gid have been
// looked up when they were read.
func (c *checker) users() {
	for _, name := range c.cfg.AddGIDs {
		if _, err := uwsgiopts.LookupGID(name); err != nil {
			c.wrong(c.cfg.OriginOf("add-gid", name), "add-gid: %v", err)
		}
	}
	for _, d := range slices.Concat(c.cfg.Daemons, c.cfg.Smart) {
		c.account("attach-daemon2", d.UID, d.GID)
	}
	user, group, _ := strings.Cut(c.cfg.ChownSocket, ":")
	c.account("chown-socket", user, group)
}

// account looks up a user and a group of an option's, as far as they are named.
func (c *checker) account(option, user, group string) {
	if user != "" {
		if _, err := uwsgiopts.LookupUID(user); err != nil {
			c.wrong(c.cfg.OriginOf(option, ""), "%s: %v", option, err)
		}
	}
	if group != "" {
		if _, err := uwsgiopts.LookupGID(group); err != nil {
			c.wrong(c.cfg.OriginOf(option, ""), "%s: %v", option, err)
		}
	}
}

// certificates reads them, as a start does before it drops its privileges.
func (c *checker) certificates() {
	_, _, problems := readMaterial(c.cfg, nil)
	for _, problem := range problems {
		c.add(statusFailed, uwsgiopts.Origin{}, "%v", problem)
	}
}

// sockets looks at every address without opening it.
func (c *checker) sockets() {
	seen := map[string]bool{}
	for _, address := range c.cfg.SharedSockets {
		seen[address] = true
		c.address(c.cfg.OriginOf("shared-socket", address), address)
	}
	for _, s := range c.cfg.Sockets {
		if number, is := strings.CutPrefix(s.Address, "="); is {
			if n, err := strconv.Atoi(number); err != nil || n < 0 || n >= len(c.cfg.SharedSockets) {
				c.wrong(s.Origin, "socket %s: there is no such shared socket", s.Address)
			}
			continue
		}
		if seen[s.Address] && !c.cfg.ReusePort && !strings.HasSuffix(s.Address, ":0") {
			c.wrong(s.Origin, "socket %s: the address is given twice", s.Address)
		}
		seen[s.Address] = true
		c.address(s.Origin, s.Address)
	}
	if len(seen) == 0 && !inheritsSockets() && !c.cfg.OnlySupervises() && !c.cfg.OnlyReigns() {
		c.note(uwsgiopts.Origin{}, "no socket is named: a start needs one from systemd, or as standard input")
	}
	for _, kind := range []struct {
		option    string
		addresses []string
	}{{"stats", c.cfg.Stats}, {"prometheus", c.cfg.Prometheus}, {"status-page", c.cfg.StatusPage}} {
		for _, address := range kind.addresses {
			c.address(c.cfg.OriginOf(kind.option, address), address)
		}
	}
}

// inheritsSockets: systemd, or whoever opened standard input, has a socket for this process.
func inheritsSockets() bool { return os.Getenv("LISTEN_FDS") != "" || sockets.IsListener(0) }

// address says what is wrong with the syntax of a socket's address, or with its surroundings.
func (c *checker) address(where uwsgiopts.Origin, address string) {
	const longestPath = 107 // sun_path less its end
	host, port, isTCP := sockets.SplitAddress(address)
	number, isFD := strings.CutPrefix(address, "fd://")
	switch {
	case isFD:
		if n, err := strconv.Atoi(number); err != nil || n < 0 {
			c.wrong(where, "socket %s: %q is no descriptor", address, number)
		}
	case isTCP:
		if host == "*" { // all addresses, as an empty one
			host = ""
		}
		if _, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port)); err != nil {
			c.wrong(where, "socket %s: %v", address, err)
		}
	case strings.HasPrefix(address, "@"):
	case address == "":
		c.wrong(where, "the address of a socket is empty")
	default:
		path := paths.In(workDir(c.cfg), address)
		if len(path) > longestPath {
			c.wrong(where, "socket %s: the path is longer than %d bytes", address, longestPath)
		}
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
			c.wrong(where, "socket %s: there is a file of that name that is no socket", address)
		}
		if c.writable(where, "socket", path) {
			c.removable(where, path)
		}
	}
}

// writtenFiles looks at the directories of the files that a start would write, with the rights that it writes them with.
func (c *checker) writtenFiles() {
	cfg, work := c.cfg, workDir(c.cfg)
	type file struct{ option, name, base string }
	look := func(files []file) func() {
		return func() {
			for _, f := range files {
				if f.name != "" {
					c.writable(cfg.OriginOf(f.option, ""), f.option, paths.In(f.base, f.name))
				}
			}
		}
	}
	look([]file{
		{"logto", cfg.Logto, cfg.StartDir}, {"daemonize", cfg.Daemonize, cfg.StartDir}, {"daemonize2", cfg.Daemonize2, cfg.StartDir},
		{"pidfile", cfg.Pidfile, cfg.StartDir},
	})()
	c.asMaster(look([]file{
		{"logto2", cfg.Logto2, cfg.StartDir}, {"pidfile2", cfg.Pidfile2, work}, {"safe-pidfile", cfg.SafePidfile, work},
		{"safe-pidfile2", cfg.SafePidfile2, work},
	}))
	c.asMaster(func() {
		for _, of := range []struct {
			option  string
			loggers []uwsgiopts.Logger
		}{{"logger", cfg.Loggers}, {"req-logger", cfg.ReqLoggers}, {"worker-logger", cfg.WorkerLoggers}, {"worker-logger-req", cfg.WorkerReqLoggers}} {
			for _, l := range of.loggers {
				if path := logging.LoggerFile(l); path != "" {
					c.writable(cfg.OriginOf(of.option, l.Text), of.option, paths.In(work, path))
				}
			}
		}
		for _, name := range cfg.MasterFifo {
			c.writable(cfg.OriginOf("master-fifo", name), "master-fifo", paths.In(work, name))
		}
	})
}

// readFiles looks at what workers are to read: a start lives with what is missing.
func (c *checker) readFiles() {
	cfg, work := c.cfg, workDir(c.cfg)
	for _, m := range slices.Concat(cfg.StaticMaps, cfg.StaticWholeMaps) {
		c.present(c.originOfMap(m), "static-map", paths.In(work, m[1]))
	}
	for _, name := range cfg.CheckStatic {
		c.present(cfg.OriginOf("check-static", name), "check-static", paths.In(work, name))
	}
	for _, pattern := range cfg.Pythonpath {
		if found, err := filepath.Glob(paths.In(work, pattern)); err == nil && len(found) == 0 {
			c.note(cfg.OriginOf("pythonpath", pattern), "pythonpath %s: there is no such file or directory", pattern)
		}
	}
}

// masterFiles looks at what the master itself watches and reads.
func (c *checker) masterFiles() {
	for _, name := range c.cfg.TouchReload {
		path := paths.In(workDir(c.cfg), name)
		if _, err := os.Stat(filepath.Dir(path)); err == nil {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // it may be made later: that reloads
				continue
			}
		}
		c.present(c.cfg.OriginOf("touch-reload", name), "touch-reload", path)
	}
	if _, err := staticSpec(c.cfg); err != nil {
		c.wrong(uwsgiopts.Origin{}, "%v", err)
	}
	if err := checkRRDTool(c.cfg); err != nil {
		c.wrong(c.cfg.OriginOf("rrdtool", ""), "%v", err)
	}
}

// directory tells whether workers may be in the one that --chdir names.
func (c *checker) directory() (usable bool) {
	where := c.cfg.OriginOf("chdir", "")
	if err := checkDirectories(c.cfg); err != nil {
		c.wrong(where, "%v", err)
		return false
	}
	c.asWorker(func() {
		err := unix.Access(workDir(c.cfg), unix.X_OK)
		if usable = err == nil; !usable {
			c.wrong(where, "chdir(): %s: %v", workDir(c.cfg), reasonAlone(err))
		}
	})
	return usable
}

func (c *checker) present(where uwsgiopts.Origin, option, path string) {
	if _, err := os.Stat(path); err != nil {
		c.note(where, "%s %s: %v", option, path, reasonAlone(err))
	}
}

func (c *checker) originOfMap(m [2]string) uwsgiopts.Origin {
	for _, option := range []string{"static-map", "static-map2"} {
		if where := c.cfg.OriginOf(option, m[0]+"="+m[1]); where.Source != "" {
			return where
		}
	}
	return uwsgiopts.Origin{}
}

// service reads envoxy.json; usable: the application may be imported with what came of it.
func (c *checker) service() (document []byte, usable bool) {
	service, notice, err := readService(c.cfg)
	if notice != "" {
		c.note(c.cfg.OriginOf("conf", ""), "%s", notice)
	}
	switch {
	case err != nil:
		c.add(statusNoEnvoxy, uwsgiopts.Origin{}, "%v", err)
		c.note(uwsgiopts.Origin{}, "the application has not been imported: it needs a usable envoxy.json")
		return nil, false
	case service == nil:
		return nil, true
	}
	c.serviceNotices(service)
	if err := checkZeroMQ(context.Background(), service); err != nil {
		c.add(statusNoEnvoxy, uwsgiopts.Origin{}, "%v", err)
	}
	return service.Document, true
}

func (c *checker) serviceNotices(service *modules.Service) {
	c.report.Notices = append(c.report.Notices, service.Notices...)
}
