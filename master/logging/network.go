package logging

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"
)

// sendTime bounds how long a receiver on this machine may keep us waiting.
const sendTime = 2 * time.Second

// datagrams sends each record as one datagram to HOST:PORT or a unix socket.
type datagrams struct {
	network, address string
	conn             net.Conn
}

func newDatagrams(address string) (*datagrams, error) {
	d := &datagrams{network: "udp", address: address}
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@") || !strings.Contains(address, ":") {
		d.network = "unixgram"
	}
	if d.network == "udp" {
		if _, err := net.ResolveUDPAddr("udp", address); err != nil {
			return nil, fmt.Errorf("log socket %s: %w", address, err)
		}
	}
	return d, nil
}

// send makes a second attempt with a new socket: the receiver may be another one by now.
// Over UDP nobody knows who hears it: that nobody listens is no failure.
func (d *datagrams) send(message []byte) error {
	for attempt := range 2 {
		if d.conn == nil {
			conn, err := net.DialTimeout(d.network, d.address, sendTime)
			if err != nil {
				return err
			}
			d.conn = conn
		}
		_ = d.conn.SetWriteDeadline(time.Now().Add(sendTime))
		_, err := d.conn.Write(message)
		if err == nil || d.network == "udp" && errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
		if errors.Is(err, unix.EMSGSIZE) || attempt > 0 {
			return err
		}
		_ = d.conn.Close()
		d.conn = nil
	}
	return nil
}

func (d *datagrams) write(b *batch) (lost int, err error) { return b.each(d.send) }

func (d *datagrams) close() error {
	if d.conn == nil {
		return nil
	}
	return d.conn.Close()
}

// remoteSyslog sends records in the form of RFC 3164: <PRIORITY>DATE NAME: TEXT.
type remoteSyslog struct {
	*datagrams
	priority string
	tag      string
	size     int // of the largest packet, bytes
	split    bool
}

// newRemoteSyslog reads HOST:PORT[,NAME[,PRIORITY]].
func newRemoteSyslog(arguments string, size int, split bool) (*remoteSyslog, error) {
	address, rest, _ := strings.Cut(arguments, ",")
	name, priority, _ := strings.Cut(rest, ",")
	to, err := newDatagrams(address)
	if err != nil {
		return nil, err
	}
	if priority == "" {
		priority = "29" // daemon, notice
	}
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		name = host + " uwsgi"
	}
	return &remoteSyslog{datagrams: to, priority: priority, tag: name, size: size, split: split}, nil
}

func (r *remoteSyslog) write(b *batch) (lost int, err error) {
	now := time.Now()
	return b.each(func(record []byte) error {
		for _, packet := range r.packets(record, now) {
			if err := r.send(packet); err != nil {
				return err
			}
		}
		return nil
	})
}

// packets are one record's; a longer one than fits is cut, or goes on in another packet.
func (r *remoteSyslog) packets(record []byte, now time.Time) (packets [][]byte) {
	text := bytes.TrimSuffix(record, newline)
	head := fmt.Appendf(nil, "<%s>%s %s: ", r.priority, now.Format(time.Stamp), r.tag)
	room := max(r.size-len(head), 1)
	for {
		piece := text[:min(len(text), room)]
		packets = append(packets, append(bytes.Clone(head), piece...))
		text = text[len(piece):]
		if !r.split || len(text) == 0 {
			return packets
		}
	}
}

// systemJournal sends records to systemd's journal.
type systemJournal struct{ identifier string }

func newSystemJournal(identifier string) (*systemJournal, error) {
	if !journal.Enabled() {
		return nil, errors.New("logger systemd: the journal's socket is not there")
	}
	if identifier == "" {
		identifier = "uwsgi"
	}
	return &systemJournal{identifier}, nil
}

func (s *systemJournal) write(b *batch) (lost int, err error) {
	return b.each(func(record []byte) error {
		return journal.Send(string(bytes.TrimSuffix(record, newline)), journal.PriInfo, map[string]string{"SYSLOG_IDENTIFIER": s.identifier})
	})
}

func (*systemJournal) close() error { return nil }
