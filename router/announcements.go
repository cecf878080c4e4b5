package router

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/logtext"
	"envoxyd/internal/routerspec"
	"envoxyd/protocol/subscription"
	"envoxyd/router/nodes"
)

// heard is what is remembered of announcements beside the nodes themselves.
type heard struct {
	digest crypto.Hash

	mu    sync.Mutex
	stamp map[[2]string]int64 // the last signed time, by key and address
	told  time.Time           // when one that was refused was told last
}

// readKeys looks at what signatures are checked by.
func (p *process) readKeys() (err error) {
	if s := p.spec.Signed; s != nil {
		if p.heard.digest, err = subscription.Digest(s.Digest); err != nil {
			return fmt.Errorf("subscriptions-sign-check: %w", err)
		}
		p.heard.stamp = map[[2]string]int64{}
	}
	return nil
}

// sender is who has sent a datagram, as far as the kernel says.
type sender struct {
	host  string // of a datagram of UDP, as an address is written
	local bool   // over a unix socket; else the rest is nothing
	unix.Ucred
}

// hear takes announcements from a datagram socket until the process ends.
func (p *process) hear(s *routerspec.Socket) error {
	if err := unix.SetNonblock(s.FD, true); err != nil {
		return fmt.Errorf("subscription server %s: %w", s.Name, err)
	}
	_ = unix.SetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_PASSCRED, 1) // not for UDP; a unix socket has it already, unless it was inherited
	file := os.NewFile(uintptr(s.FD), "subscriptions")
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("subscription server %s: %w", s.Name, err)
	}
	p.running.Go(func() {
		<-p.ctx.Done()
		_ = file.SetReadDeadline(time.Unix(1, 0)) // the socket stays open for who comes after us
	})
	p.running.Go(func() { p.hearFrom(raw) })
	return nil
}

func (p *process) hearFrom(raw syscall.RawConn) {
	data := make([]byte, subscription.MaxSize)
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	for p.ctx.Err() == nil {
		var n, size int
		var from unix.Sockaddr
		var err error
		if raw.Read(func(fd uintptr) bool {
			n, size, _, from, err = unix.Recvmsg(int(fd), data, control, unix.MSG_CMSG_CLOEXEC)
			return !errors.Is(err, unix.EAGAIN)
		}) != nil {
			return
		}
		if err == nil {
			p.take(data[:n], senderOf(from, control[:size]))
		}
	}
}

func senderOf(from unix.Sockaddr, control []byte) (s sender) {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return sender{host: netip.AddrFrom4(a.Addr).String()}
	case *unix.SockaddrInet6:
		if ip := netip.AddrFrom16(a.Addr).Unmap(); ip.Is4() {
			return sender{host: ip.String()}
		} else {
			return sender{host: "[" + ip.String() + "]"}
		}
	}
	s.local = true
	s.Uid, s.Gid = ^uint32(0), ^uint32(0)
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return s
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil && cred.Pid > 0 { // else the kernel knows nothing
			s.Ucred = *cred
		}
	}
	return s
}

// take does what a datagram says, if its sender may say it.
func (p *process) take(data []byte, from sender) {
	packet, err := subscription.Parse(data)
	if err == nil {
		err = p.permit(&packet, from)
	}
	if err != nil {
		p.refused(&packet, err)
		return
	}
	if packet.Address[0] == ':' && from.host != "" { // all addresses of its host: the one that it sends from is one
		packet.Address = from.host + packet.Address
	}
	a := nodes.Announcement{Key: packet.Key, Address: packet.Address, Modifier1: packet.Modifier1, Modifier2: packet.Modifier2, Cores: packet.Cores,
		Load: packet.Load, Weight: packet.Weight, Backup: packet.Backup, Protocol: packet.Protocol, Algorithm: packet.Algorithm,
		SNIKey: packet.SNIKey, SNICert: packet.SNICert, SNICA: packet.SNICA}
	if from.local && from.Pid > 0 {
		a.PID, a.UID, a.GID = int(from.Pid), int(from.Uid), int(from.Gid)
	}
	p.forward.send(&packet, p.spec)
	if packet.Leave {
		if p.withdraw(a) {
			p.pass(routerspec.Withdraw, a)
			p.acknowledge(&packet, from, "unsubscribed from")
		}
		return
	}
	change, err := p.announce(a)
	if err != nil {
		p.refused(&packet, err)
		return
	}
	if packet.SNIKey != "" && len(p.secure.fronts) == 0 && !p.sniTold.Swap(true) {
		p.logf("[uwsgi-subscription for pid %d] certificates of subscriptions (sni_key, sni_crt) are of no use: no client speaks TLS to this router", os.Getpid())
	}
	if change != nodes.Nothing || p.spec.Siblings {
		p.pass(routerspec.Announce, a)
	}
	if change == nodes.NewNode || change == nodes.NewPool {
		p.acknowledge(&packet, from, "subscribed to")
	}
}

// refused says once a second that something was.
func (p *process) refused(packet *subscription.Packet, err error) {
	p.heard.mu.Lock()
	now := time.Now()
	quiet := now.Sub(p.heard.told) < time.Second
	if !quiet {
		p.heard.told = now
	}
	p.heard.mu.Unlock()
	if !quiet {
		p.logf("[uwsgi-subscription for pid %d] refused %s => %s: %v", os.Getpid(), logtext.Safe(packet.Key), logtext.Safe(packet.Address), err)
	}
}

// Errors of what a sender may not say.
var (
	errCredentials = errors.New("its sender does not own the file of the key (subscriptions-credentials-check)")
	errVassal      = errors.New("it names no vassal (subscription-vassal-required)")
	errOld         = errors.New("it is older than what was said before, or than may be (subscriptions-sign-check-tolerance)")
)

// permit checks who may announce nodes for a key.
func (p *process) permit(packet *subscription.Packet, from sender) error {
	if p.spec.VassalNeeded && packet.Vassal == "" {
		return errVassal
	}
	if len(p.spec.CredentialDirs) > 0 && !p.owns(packet.Key, from) {
		return errCredentials
	}
	s := p.spec.Signed
	if s == nil || from.local && slices.Contains(s.SkipUIDs, int(from.Uid)) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, subscription.KeyFile(packet.Key)))
	if err != nil {
		return fmt.Errorf("there is no public key for it: %w", err)
	}
	var public *rsa.PublicKey
	if public, err = subscription.PublicKey(text); err != nil {
		return fmt.Errorf("%s: %w", subscription.KeyFile(packet.Key), err)
	}
	if err := packet.Verify(public, p.heard.digest); err != nil {
		return err
	}
	return p.heard.fresh(packet, time.Now().Unix(), int64(s.ToleranceSeconds))
}

// owns tells whether the sender owns a file that is named for the key.
func (p *process) owns(key string, from sender) bool {
	if !from.local || strings.ContainsAny(key, "/\x00") || strings.HasPrefix(key, ".") {
		return false
	}
	for _, dir := range p.spec.CredentialDirs {
		var info unix.Stat_t
		if unix.Lstat(filepath.Join(dir, key), &info) == nil && info.Uid == from.Uid && info.Gid == from.Gid {
			return true
		}
	}
	return false
}

// fresh refuses what has been said before: a datagram that somebody has listened to would be worth something else.
func (h *heard) fresh(packet *subscription.Packet, now, tolerance int64) error {
	if packet.Unix > now+tolerance || packet.Unix < now-tolerance {
		return errOld
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	name := [2]string{packet.Key, packet.Address}
	last, known := h.stamp[name]
	if known && (packet.Unix < last || packet.Unix == last && !packet.Leave) {
		return errOld
	}
	if !known && len(h.stamp) >= nodes.MaxNodes {
		for other, at := range h.stamp {
			if at < now-tolerance { // that is refused whatever it says
				delete(h.stamp, other)
			}
		}
		if len(h.stamp) >= nodes.MaxNodes {
			return nodes.ErrFull
		}
	}
	h.stamp[name] = packet.Unix
	return nil
}

// announce puts a node into the table, and says so when it is new.
func (p *process) announce(a nodes.Announcement) (nodes.Change, error) {
	change, err := p.up.Table.Announce(a)
	if err != nil {
		return change, err
	}
	if change == nodes.NewPool {
		p.logf("[uwsgi-subscription for pid %d] new pool: %s (hash key: %d)", os.Getpid(), a.Key, nodes.Hash(a.Key))
	}
	if change == nodes.NewPool || change == nodes.NewNode {
		p.logf("[uwsgi-subscription for pid %d] %s => new node: %s", os.Getpid(), a.Key, a.Address)
		p.cheap.follow(p)
	}
	return change, nil
}

func (p *process) withdraw(a nodes.Announcement) bool {
	if !p.up.Table.Withdraw(a.Key, a.Address) {
		return false
	}
	p.removed(a)
	return true
}

func (p *process) removed(a nodes.Announcement) {
	p.logf("[uwsgi-subscription for pid %d] %s => removing node: %s", os.Getpid(), a.Key, a.Address)
	p.cheap.follow(p)
}

// expire drops nodes that have been silent for too long.
func (p *process) expire() {
	for _, a := range p.up.Table.Expire() {
		p.removed(a)
		p.pass(routerspec.Withdraw, a)
	}
}

// pass has the master tell other processes of the kind, and those that come after this one.
func (p *process) pass(kind string, a nodes.Announcement) {
	text, err := json.Marshal(a)
	if err == nil {
		p.tell(routerspec.Event{Kind: kind, Node: text})
	}
}

// relayed does what another process of the kind has heard.
func (p *process) relayed(order routerspec.Order) {
	var a nodes.Announcement
	if json.Unmarshal(order.Node, &a) != nil {
		return
	}
	if order.Kind == routerspec.Withdraw {
		p.withdraw(a)
	} else if _, err := p.announce(a); err != nil {
		p.logf("[uwsgi-subscription for pid %d] %s => %s: %v", os.Getpid(), a.Key, a.Address, err)
	}
}

// acknowledge tells a node that asks for it that it is known (--subscription-notify-socket). Only who has sent by a unix
// socket gets it, at one: else everybody could have datagrams sent anywhere.
func (p *process) acknowledge(packet *subscription.Packet, from sender, what string) {
	if !from.local || packet.Notify == "" {
		return
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	text := fmt.Sprintf("[subscription ack] You have %s %s as %s", what, packet.Key, packet.Address)
	if err := unix.Sendto(fd, []byte(text), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: packet.Notify}); err != nil {
		p.logf("[uwsgi-subscription for pid %d] notifying %s: %v", os.Getpid(), logtext.Safe(packet.Notify), err)
	}
}
