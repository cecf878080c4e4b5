// Package subscription reads and writes the datagrams by which a server announces itself to a router, and leaves it:
// uwsgi packets with modifier1 224, as uWSGI's subscribe-to sends them. It knows no sockets.
package subscription

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"envoxyd/protocol/uwsgi"
)

// Modifier is modifier1 of such a packet.
const Modifier = 224

// What modifier2 says.
const (
	joins  = 0
	leaves = 1
)

// MaxSize is how large a datagram may be, bytes.
const MaxSize = 32 << 10

// maxText bounds keys, addresses and paths, bytes: they are kept for every node, and shown in logs.
const maxText = 512

// Packet is one datagram.
type Packet struct {
	Leave     bool // the node gets nothing more
	Key       string
	Address   string
	Modifier1 byte
	Modifier2 byte
	Cores     int
	Load      int
	Weight    int
	Backup    int
	Protocol  string // "http" or "uwsgi"; "": it is not said
	Algorithm string
	Notify    string // where an acknowledgement is sent
	Vassal    string // name of an emperor's vassal

	SNIKey, SNICert, SNICA string // files of a TLS certificate for the key

	Unix int64  // seconds since 1970, in signed packets
	Sign []byte // the signature; nil: there is none

	signed []byte // what the signature is of; it aliases the datagram
}

// Errors of datagrams.
var (
	ErrNoPacket  = errors.New("it is no subscription packet")
	ErrKey       = errors.New("its key is missing or malformed")
	ErrAddress   = errors.New("its address is missing or malformed")
	ErrMalformed = errors.New("a value of it is malformed")
)

// Parse reads a datagram. What it does not know is left out.
func Parse(data []byte) (p Packet, err error) {
	if len(data) < uwsgi.HeaderSize {
		return p, ErrNoPacket
	}
	h := uwsgi.ParseHeader(data)
	block := data[uwsgi.HeaderSize:]
	if h.Modifier1 != Modifier || h.Size != len(block) || h.Modifier2 > leaves {
		return p, ErrNoPacket
	}
	p.Leave = h.Modifier2 == leaves
	rest := block
	for len(rest) > 0 {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return p, err
		}
		if string(key) == "sign" { // always the last one: it is of all before
			p.Sign, p.signed = value, block[:len(block)-len(rest)]
			if len(more) > 0 {
				return p, fmt.Errorf("%w: something follows the signature", ErrMalformed)
			}
			break
		}
		if err := p.take(string(key), string(value)); err != nil {
			return p, err
		}
		rest = more
	}
	switch {
	case !isText(p.Key):
		return p, ErrKey
	case !isText(p.Address):
		return p, ErrAddress
	}
	return p, nil
}

func (p *Packet) take(key, value string) error {
	for name, field := range map[string]*string{
		"key": &p.Key, "address": &p.Address, "proto": &p.Protocol, "algo": &p.Algorithm, "notify": &p.Notify, "vassal": &p.Vassal,
		"sni_key": &p.SNIKey, "sni_crt": &p.SNICert, "sni_ca": &p.SNICA,
	} {
		if key == name {
			if value != "" && !isText(value) {
				return fmt.Errorf("%w: %s", ErrMalformed, name)
			}
			*field = value
			return nil
		}
	}
	var most int64 = math.MaxInt32
	var set func(n int64)
	switch key {
	case "modifier1":
		most, set = math.MaxUint8, func(n int64) { p.Modifier1 = byte(n) }
	case "modifier2":
		most, set = math.MaxUint8, func(n int64) { p.Modifier2 = byte(n) }
	case "cores":
		set = func(n int64) { p.Cores = int(n) }
	case "load":
		set = func(n int64) { p.Load = int(n) }
	case "weight":
		set = func(n int64) { p.Weight = int(n) }
	case "backup":
		set = func(n int64) { p.Backup = int(n) }
	case "unix":
		most, set = math.MaxInt64, func(n int64) { p.Unix = n }
	default:
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > most {
		return fmt.Errorf("%w: %s", ErrMalformed, key)
	}
	set(n)
	return nil
}

// isText: it can be shown and kept.
func isText(text string) bool {
	if text == "" || len(text) > maxText {
		return false
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return true
}

// Append appends the datagram to dst, without a signature.
func (p *Packet) Append(dst []byte) []byte { return p.finish(dst, p.vars()) }

func (p *Packet) finish(dst, vars []byte) []byte {
	h := uwsgi.Header{Modifier1: Modifier, Modifier2: joins, Size: len(vars)}
	if p.Leave {
		h.Modifier2 = leaves
	}
	return append(uwsgi.AppendHeader(dst, h), vars...)
}

// vars are the variables, in uWSGI's order.
func (p *Packet) vars() (vars []byte) {
	text := func(key, value string) {
		if value != "" {
			vars = uwsgi.AppendVar(vars, key, value)
		}
	}
	number := func(key string, value int) { text(key, strconv.Itoa(value)) }
	text("key", p.Key)
	text("address", p.Address)
	number("modifier1", int(p.Modifier1))
	number("modifier2", int(p.Modifier2))
	number("cores", p.Cores)
	number("load", p.Load)
	number("weight", p.Weight)
	text("sni_key", p.SNIKey)
	text("sni_crt", p.SNICert)
	text("sni_ca", p.SNICA)
	text("notify", p.Notify)
	text("proto", p.Protocol)
	text("algo", p.Algorithm)
	text("vassal", p.Vassal)
	if p.Backup > 0 {
		number("backup", p.Backup)
	}
	if p.Unix > 0 {
		text("unix", strconv.FormatInt(p.Unix, 10))
	}
	return vars
}
