package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// Sockets of a zerg server (--zerg) and those that are only handed out (--zergpool).
const (
	zergPrefix = "zerg:"
	Pool       = "zerg-pool"
)

const (
	zergGreeting = "uwsgi-zerg" // what a message of uWSGI's begins with; the number of descriptors follows, as an int of C
	zergMost     = 64           // descriptors in a message
	zergTimeout  = 10 * time.Second
)

// attachZerg takes the sockets of the zerg servers that are named, as workers' ones. Those that are
// there already, here or from the previous master, are kept. attached: there are some.
func (o *Opener) attachZerg() (attached bool, err error) {
	for _, server := range o.Config.Zerg {
		prefix := zergPrefix + server + "#"
		found := o.zergKept(prefix)
		if len(found) == 0 {
			if found, err = o.askZerg(server, prefix); err != nil {
				if !o.Config.ZergFallback {
					return false, fmt.Errorf("zerg server %s: %w", server, err)
				}
				o.Logf("zerg server %s: %v: listening on one's own sockets", server, err)
				continue
			}
		}
		for i, s := range found {
			s.serve(uwsgiopts.Socket{Protocol: o.Config.DefaultProtocol()})
			o.opened = append(o.opened, s) // first: what fails later closes it
			if err := s.describe(o.Dir); err != nil {
				return false, err
			}
			kind := "INET"
			if s.Unix() {
				kind = "UNIX"
			}
			o.Logf("uwsgi zerg socket %d attached to %s address %s fd %d", i, kind, s.Name, s.FD)
		}
		attached = true
	}
	if attached {
		o.Logf("zerg sockets attached")
	}
	return attached, nil
}

// zergKept finds the sockets of a server that are open already.
func (o *Opener) zergKept(prefix string) (found []*Socket) {
	for _, s := range o.Current {
		if strings.HasPrefix(s.Key, prefix) {
			kept := *s
			kept.inherited = true
			found = append(found, &kept)
		}
	}
	for _, key := range o.Inheritance.keys(prefix) {
		found = append(found, &Socket{Key: key, FD: o.Inheritance.Take(key), inherited: true})
	}
	return found
}

// askZerg connects to a zerg server, which sends its sockets at once.
func (o *Opener) askZerg(server, prefix string) (found []*Socket, err error) {
	address := server
	if !strings.HasPrefix(server, "@") {
		address = paths.In(o.Dir, server)
	}
	conn, err := net.DialTimeout("unix", address, zergTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(zergTimeout)); err != nil {
		return nil, err
	}
	text := make([]byte, len(zergGreeting)+4)
	control := make([]byte, unix.CmsgSpace(4*zergMost))
	n, size, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(text, control) // Go marks what comes close-on-exec
	if err != nil {
		return nil, fmt.Errorf("reading its sockets: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil {
		return nil, fmt.Errorf("reading its sockets: %w", err)
	}
	listeners := true
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // credentials
		}
		for _, fd := range fds {
			found = append(found, &Socket{Key: prefix + strconv.Itoa(len(found)), FD: fd, inherited: true})
			listeners = listeners && IsListener(fd)
		}
	}
	if n < len(zergGreeting) || string(text[:len(zergGreeting)]) != zergGreeting || len(found) == 0 || !listeners {
		for _, s := range found {
			_ = unix.Close(s.FD)
		}
		return nil, errors.New("it has sent no listening sockets")
	}
	return found, nil
}

// SendZerg sends listening sockets to an instance that has connected.
func SendZerg(conn *net.UnixConn, list []*Socket) error {
	if len(list) == 0 || len(list) > zergMost {
		return fmt.Errorf("%d sockets cannot be sent", len(list))
	}
	fds := make([]int, len(list))
	for i, s := range list {
		fds[i] = s.FD
	}
	text := binary.NativeEndian.AppendUint32([]byte(zergGreeting), uint32(len(fds)))
	if err := conn.SetWriteDeadline(time.Now().Add(zergTimeout)); err != nil {
		return err
	}
	_, _, err := conn.WriteMsgUnix(text, unix.UnixRights(fds...), nil)
	return err
}

// Pooled are those of list that a pool of the configuration hands out.
func Pooled(list []*Socket, pool uwsgiopts.ZergPool) (found []*Socket) {
	for _, address := range pool.Sockets {
		for _, s := range list {
			if s.Protocol == Pool && s.Key == address {
				found = append(found, s)
				break
			}
		}
	}
	return found
}
