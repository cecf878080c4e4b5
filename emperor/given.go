package emperor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/emperorlink"
)

// A configuration that is no file is given to its instance, which reads it as emperor://NAME: as a packet over a socket, once
// at the start, and again each time that the instance asks. It is uWSGI's way.

const (
	configModifier = 115
	longestGiven   = 1<<16 - 1 // bytes: the packet's length has two
	patience       = 10 * time.Second
)

// packet is a configuration on its way.
func packet(text string) []byte {
	head := []byte{configModifier, 0, 0, 0}
	binary.LittleEndian.PutUint16(head[1:], uint16(len(text)))
	return append(head, text...)
}

// give sends an instance its configuration, as it is now.
func (e *Emperor) give(v *vassal) {
	if v.config == nil {
		return
	}
	if v.giving { // what is under way may be an older one, and the instance is owed one for each time it asks
		v.owed = true
		return
	}
	v.giving = true
	config, text := v.config, packet(v.Text)
	e.running.Go(func() { // ends with the process, if that does not read
		_, err := config.Write(text)
		e.post(func(e *Emperor) {
			if v.config != config {
				return
			}
			again := v.owed && err == nil
			if v.giving, v.owed = false, false; again {
				e.give(v)
			}
		})
	})
}

// Above is the emperor that has started this process, as far as that gives it its configuration.
type Above struct {
	config *os.File // nil: it does not
	link   int      // to ask again by; -1: there is no way to
	asked  bool
}

// FindAbove takes the descriptors of the environment's that a configuration comes over. The link itself stays for others.
func FindAbove() *Above {
	a := &Above{link: -1}
	if a.config, _ = emperorlink.Take(emperorlink.ConfigVariable, "configuration"); a.config == nil {
		return a
	}
	if fd, ok := emperorlink.Descriptor(emperorlink.Variable); ok {
		if own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
			a.link = own
		}
	}
	return a
}

// Read returns the configuration: the first time what has been sent by itself, then what the emperor has now.
func (a *Above) Read() (text string, err error) {
	if a.config == nil {
		return "", errors.New("the emperor gives no configuration, or there is none")
	}
	if a.asked {
		if err := a.ask(); err != nil {
			return "", fmt.Errorf("the emperor cannot be asked: %w", err)
		}
	}
	a.asked = true
	if err := a.config.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", fmt.Errorf("the emperor's configuration: %w", err)
	}
	var head [4]byte
	if _, err := io.ReadFull(a.config, head[:]); err != nil {
		return "", fmt.Errorf("the emperor gives no configuration: %w", err)
	}
	body := make([]byte, binary.LittleEndian.Uint16(head[1:]))
	if _, err := io.ReadFull(a.config, body); err != nil {
		return "", fmt.Errorf("the emperor gives half a configuration: %w", err)
	}
	return string(body), nil
}

// ask has the emperor send it once more. What is there before is the late answer to a question that was given up.
func (a *Above) ask() error {
	raw, err := a.config.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Control(func(fd uintptr) {
		var stale [4096]byte
		for n := 1; n > 0; {
			n, _ = unix.Read(int(fd), stale[:])
		}
	})
	if err != nil {
		return err
	}
	_, err = unix.Write(a.link, []byte{emperorlink.AskConfig})
	return err
}
