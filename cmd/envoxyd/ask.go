package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"envoxyd/protocol/uwsgi"
	"envoxyd/uwsgiopts"
)

// ping asks whether an instance lives (--ping), and returns the exit status.
func ping(address string, timeout time.Duration) int {
	fmt.Fprintf(os.Stderr, "PING uwsgi host %s (timeout: %d)\n", address, int(timeout.Seconds()))
	return ask(address, uwsgi.Header{Modifier1: uwsgi.ModifierPing}, pong, timeout)
}

// pong is the answer of an instance that lives.
var pong = [4]byte{uwsgi.ModifierPing, 0, 0, uwsgi.PingAnswer}

// raise raises a uwsgi signal in an instance (--signal), and returns the exit status.
func raise(s *uwsgiopts.RemoteSignal, timeout time.Duration) int {
	return ask(s.Address, uwsgi.Header{Modifier1: uwsgi.ModifierSignal, Modifier2: s.Number}, [4]byte{255, 0, 0, 1}, timeout)
}

// connectAndRead prints what an address sends (--connect-and-read), where uWSGI does, and returns the exit status.
func connectAndRead(address string) int {
	conn, err := net.Dial(network(address), strings.TrimPrefix(address, "unix:"))
	if err == nil {
		defer conn.Close()
		_, err = io.Copy(os.Stderr, conn)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", address, err)
		return 1
	}
	return 0
}

// ask sends a packet without variables, says what is wrong with the answer, and returns the exit status.
func ask(address string, question uwsgi.Header, yes [4]byte, timeout time.Duration) int {
	if err := exchange(address, question, yes, timeout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// exchange sends a packet without variables; an answer other than yes is an error.
func exchange(address string, question uwsgi.Header, yes [4]byte, timeout time.Duration) error {
	var answer [4]byte
	conn, err := net.DialTimeout(network(address), strings.TrimPrefix(address, "unix:"), timeout)
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(timeout))
		if _, err = conn.Write(uwsgi.AppendHeader(nil, question)); err == nil {
			_, err = io.ReadFull(conn, answer[:])
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", address, err)
	case answer != yes:
		return fmt.Errorf("%s has answered %x, not %x", address, answer, yes)
	}
	return nil
}

// network tells whether an address is HOST:PORT or the path of a unix socket.
func network(address string) string {
	_, port, err := net.SplitHostPort(address)
	if _, number := strconv.Atoi(port); err != nil || number != nil {
		return "unix"
	}
	return "tcp"
}
