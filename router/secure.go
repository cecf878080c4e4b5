package router

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/tlsconfig"
	"envoxyd/internal/tlsspec"
	"envoxyd/router/relay"
	"envoxyd/transports/http"
)

// handshakeTime is what a client has for the handshake, at most.
const handshakeTime = 30 * time.Second

// secure is TLS on the sockets that have it.
type secure struct {
	fronts map[*routerspec.Socket]secureFront
	head   time.Duration // for a whole handshake
}

// secureFront is TLS on one socket.
type secureFront struct {
	store  *tlsconfig.Store
	config *tls.Config
}

// openSecure reads the certificates of the fronts.
func (p *process) openSecure() error {
	var vault *tlsconfig.Vault
	p.secure.head = handshakeTime
	if head := relay.Millis(p.spec.HTTP.HeadMillis); head > 0 {
		p.secure.head = min(head, handshakeTime)
	}
	for i := range p.spec.Fronts {
		front := &p.spec.Fronts[i]
		if front.TLS == nil {
			continue
		}
		if vault == nil {
			var err error
			if vault, err = tlsconfig.OpenVault(p.spec.VaultFD); err != nil {
				return err
			}
			p.secure.fronts = map[*routerspec.Socket]secureFront{}
		}
		var protocols []string
		if p.spec.Kind == routerspec.KindHTTP {
			protocols = []string{"http/1.1"}
		}
		store, err := tlsconfig.New(front.TLS, vault, protocols, p.logf)
		if err != nil {
			return fmt.Errorf("%s: %w", front.Name, err)
		}
		store.AlsoNamed("subscription", func(host string) (tlsspec.Certificate, bool) { return p.announcedCertificate(host, front.Port) })
		p.secure.fronts[front] = secureFront{store, store.Config()}
	}
	return nil
}

// announcedCertificate is what a node has named for a host, which is its key, maybe with the port.
func (p *process) announcedCertificate(host, port string) (c tlsspec.Certificate, there bool) {
	a, there := p.up.Table.Named(host)
	if !there {
		a, there = p.up.Table.Named(host + ":" + port)
	}
	if !there {
		return c, false
	}
	c.Cert, c.Key = a.SNICert, a.SNIKey
	c.ClientCA, c.Required = strings.CutPrefix(a.SNICA, "!")
	return c, true
}

// shakeHands has a client's connection speak TLS, where its front does. False: it has failed, and is closed.
func (p *process) shakeHands(c *relay.Client) bool {
	front, speaks := p.secure.fronts[c.Front]
	if !speaks {
		return true
	}
	if err := p.handshake(c, front); err != nil {
		if c.Front.TLS.Verbose {
			p.logf("TLS handshake with %s: %v", c.Peer, err)
		}
		_ = c.Close()
		return false
	}
	return true
}

func (p *process) handshake(c *relay.Client, front secureFront) error {
	below := c.Below()
	end := time.Now().Add(p.secure.head)
	if err := below.SetDeadline(end); err != nil {
		return err
	}
	hurry := context.AfterFunc(p.ctx, func() { _ = below.SetReadDeadline(time.Now().Add(idleGrace)) })
	defer hurry()
	c.Secure = new(relay.Secure)
	if p.spec.HTTP.ProxyProtocol {
		var err error
		if c.Secure.Proxy, below.Before, err = readProxy(c); err != nil {
			return err
		}
	}
	conn := tls.Server(below, front.config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	state := conn.ConnectionState()
	c.Secure.Misdirected = front.store.Guard(state.ServerName)
	c.Secure.Host = strings.ToLower(state.ServerName)
	c.Secure.Vars = tlsconfig.AppendVariables(c.Secure.Vars, &state, c.Front.TLS.ExportCert)
	c.Cover(conn, below)
	hurry()
	return below.SetDeadline(time.Time{})
}

// readProxy reads the PROXY header, which comes before TLS, and returns what has come behind it.
func readProxy(c *relay.Client) (http.Addresses, []byte, error) {
	var data []byte
	for {
		piece := make([]byte, 4096)
		n, err := c.Conn.Read(piece)
		if err != nil {
			return http.Addresses{}, nil, err
		}
		data = append(data, piece[:n]...)
		size, addresses, err := http.ProxyHeader(data)
		if err != nil || size >= 0 {
			return addresses, data[max(size, 0):], err
		}
	}
}
