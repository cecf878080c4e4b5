package uwsgiopts

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ProcessConfig is what holds for single processes, and what ends them.
type ProcessConfig struct {
	LimitAS     int64 // bytes; 0: no limit
	LimitNproc  int   // 0: no limit
	Prio        int   // as setpriority takes it; 0: as it is
	CPUAffinity int   // processors for each worker; 0: all
	HonourStdin bool  // the application has the instance's standard input

	HarakiriGracefulTimeout time.Duration // between the signal and the kill; 0: kill at once
	HarakiriGracefulSignal  int
	HarakiriQueueThreshold  int // connections that must wait for harakiri to strike

	ReloadOnUSS      int64    // bytes; 0: no limit
	ReloadOnPSS      int64    // likewise
	Binsh            []string // shells, of which the first that is there runs commands
	AllowedModifiers []byte   // of packets of the uwsgi protocol; none: all that are served
	NoSendfile       bool     // files are read and written
	Mountpoints      []string // whose loss stops the instance

	EvilReloadOnAS   int64 // bytes; 0: no limit
	EvilReloadOnRSS  int64 // bytes; 0: no limit
	MemCollectorFreq time.Duration
	ReloadOnFD       []int
	BrutalReloadOnFD []int

	SendTimeout  time.Duration // of writes to clients; 0: SocketTimeout
	MapSockets   map[int][]int // numbers of sockets, in Sockets' order, and of the workers that serve them
	NotifySocket string

	DaemonsHonourStdin bool

	Flocks        []Flock
	Cgroups       []string
	CgroupOpts    []string // KEY=VALUE
	CgroupDirMode int
}

// Flock is a file that only one instance may have locked.
type Flock struct {
	Path string
	Wait bool // else the start fails
}

func flock(wait bool) effect {
	return List.by(func(c *Config, g given) error {
		c.Flocks = append(c.Flocks, Flock{Path: g.text, Wait: wait})
		return nil
	})
}

func setCgroupDirMode(c *Config, g given) error {
	mode, err := strconv.ParseUint(g.text, 8, 32)
	if err != nil || mode > 0o7777 {
		return fmt.Errorf("invalid value %q for option %q: an octal mode is needed", g.text, g.name)
	}
	c.CgroupDirMode = int(mode)
	return nil
}

// addCgroupOpt takes KEY=VALUE; the key is a file in the group's own directory.
func addCgroupOpt(c *Config, g given) error {
	key, _, ok := strings.Cut(g.text, "=")
	if !ok || key == "" || strings.Contains(key, "/") {
		return fmt.Errorf("option %q: %q is not KEY=VALUE, where KEY is a cgroup setting such as memory.max", g.name, g.text)
	}
	c.CgroupOpts = append(c.CgroupOpts, g.text)
	return nil
}

// validateCgroups refuses what would bound nothing.
func (p *parser) validateCgroups() error {
	if len(p.cfg.CgroupOpts) > 0 && len(p.cfg.Cgroups) == 0 {
		return p.refuseValue("cgroup-opt", "no cgroup is configured: add --cgroup")
	}
	return nil
}

func processDefaults() ProcessConfig {
	return ProcessConfig{HarakiriGracefulSignal: sigterm, MemCollectorFreq: 3 * time.Second, CgroupDirMode: 0o700}
}

func setPrio(c *Config, g given) error {
	n, err := g.signed()
	c.Prio = int(n)
	return err
}

func setHarakiriSignal(c *Config, g given) error {
	const last = 64
	n, err := g.integer(math.MaxInt32)
	if err == nil && (n < 1 || n > last || n == int64(syscall.SIGKILL) || n == int64(syscall.SIGSTOP)) {
		err = fmt.Errorf("option %q: %q is not a signal that a worker can handle", g.name, g.text)
	}
	c.HarakiriGracefulSignal = int(n)
	return err
}

// descriptor reads FD; what uWSGI lets follow a colon says how much is read, which is all there is.
func descriptor(field func(c *Config) *[]int) effect {
	return List.by(func(c *Config, g given) error {
		number, _, _ := strings.Cut(g.text, ":")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 0 {
			return fmt.Errorf("option %q: %q is not a descriptor", g.name, number)
		}
		*field(c) = append(*field(c), fd)
		return nil
	})
}

// setMapSocket reads SOCKET:WORKER[,WORKER].
func setMapSocket(c *Config, g given) error {
	socket, workers, _ := strings.Cut(g.text, ":")
	number, err := strconv.Atoi(socket)
	if err != nil || number < 0 {
		return fmt.Errorf("option %q: %q is not the number of a socket", g.name, socket)
	}
	for word := range strings.SplitSeq(workers, ",") {
		worker, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || worker < 1 {
			return fmt.Errorf("option %q: %q is not the number of a worker", g.name, word)
		}
		if c.MapSockets == nil {
			c.MapSockets = map[int][]int{}
		}
		c.MapSockets[number] = append(c.MapSockets[number], worker)
	}
	return nil
}

// validateMapSockets refuses a map that leaves a socket to nobody.
func (p *parser) validateMapSockets() error {
	for socket, workers := range p.cfg.MapSockets {
		if socket >= len(p.cfg.Sockets) {
			return p.refuseValue("map-socket", "there is no socket %d", socket)
		}
		for _, worker := range workers {
			if worker > p.cfg.Processes {
				return p.refuseValue("map-socket", "there is no worker %d", worker)
			}
		}
	}
	return nil
}

// headerVariable reads HEADER VARIABLE.
func headerVariable(field func(c *Config) *[]string) effect {
	return List.by(func(c *Config, g given) error {
		if len(strings.Fields(g.text)) != 2 {
			return fmt.Errorf("option %q: %q is not HEADER VARIABLE", g.name, g.text)
		}
		*field(c) = append(*field(c), g.text)
		return nil
	})
}

// setForceCwd changes what counts as the directory of the start.
func setForceCwd(c *Config, g given) error {
	if g.text == "" {
		return fmt.Errorf("option %q needs a directory", g.name)
	}
	from := c.StartDir
	if c.StartDir = g.text; !filepath.IsAbs(g.text) {
		c.StartDir = filepath.Join(from, g.text)
	}
	return nil
}

// setAllowedModifiers reads numbers with commas between them.
func setAllowedModifiers(c *Config, g given) error {
	c.AllowedModifiers = nil
	for word := range strings.SplitSeq(g.text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 8)
		if err != nil {
			return fmt.Errorf("option %q: %q is not a modifier (0 to 255)", g.name, word)
		}
		c.AllowedModifiers = append(c.AllowedModifiers, byte(n))
	}
	return nil
}
