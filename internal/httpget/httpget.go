// Package httpget asks another server for something over HTTP: one GET on a connection of its own.
package httpget

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"
)

// Request is what is asked for. Only URL is required.
type Request struct {
	URL            string // http:// or https://
	User, Password string // of basic authentication
	UserAgent      string
	TLS            *tls.Config // nil: the system's certificates
	MaxBody        int         // bytes; 0: the body is not read
}

// Reply is a server's answer. Redirects are not followed.
type Reply struct {
	Status int
	Body   []byte
}

// What Get refuses.
var (
	ErrURL   = errors.New("the URL cannot be used")
	ErrLarge = errors.New("the body is too large")
)

// Text is the status as a status line has it.
func (r *Reply) Text() string {
	return fmt.Sprintf("%d %s", r.Status, fasthttp.StatusMessage(r.Status))
}

// Get asks, until ctx ends. ErrURL, ErrLarge, the context's error, or one of the network.
func Get(ctx context.Context, r Request) (*Reply, error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	uri := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(uri)
	uri.DisablePathNormalizing = true
	if err := uri.Parse(nil, []byte(r.URL)); err != nil || len(uri.Host()) == 0 {
		return nil, ErrURL // the error may quote a password
	}
	encrypted := string(uri.Scheme()) == "https"
	if !encrypted && string(uri.Scheme()) != "http" {
		return nil, ErrURL
	}
	request.SetURI(uri)
	request.SetConnectionClose()
	if r.UserAgent != "" {
		request.Header.SetUserAgent(r.UserAgent)
	}
	if r.User != "" {
		request.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(r.User+":"+r.Password)))
	}
	response.SkipBody = r.MaxBody == 0
	var link link
	defer link.release()
	client := fasthttp.HostClient{
		Addr: fasthttp.AddMissingPort(string(uri.Host()), encrypted), IsTLS: encrypted, TLSConfig: r.TLS, DisablePathNormalizing: true,
		MaxIdemponentCallAttempts: 1, MaxResponseBodySize: r.MaxBody, Dial: func(address string) (net.Conn, error) { return link.dial(ctx, address) },
	}
	err := client.Do(request, response)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, ctx.Err()
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return nil, ErrLarge
	case err != nil:
		return nil, err
	}
	return &Reply{Status: response.StatusCode(), Body: append([]byte(nil), response.Body()...)}, nil
}

// link is the connection, which ends with the context.
type link struct{ stop func() bool }

func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l.stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // what waits fails
	return conn, nil
}

func (l *link) release() {
	if l.stop != nil {
		l.stop()
	}
}
