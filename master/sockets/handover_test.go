package sockets

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsPassFromOneMasterToTheNext(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	file, err := Send([]*Socket{{Key: ":80", FD: pipe[0]}, {Key: "u.sock", FD: pipe[1]}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var next Inheritance
	if err := next.Receive(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	reader, writer := next.Take(":80"), next.Take("u.sock")
	if reader < 0 || writer < 0 || next.Take(":80") >= 0 {
		t.Fatalf("descriptors %d and %d", reader, writer)
	}
	if _, err := unix.Write(writer, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if n, err := unix.Read(reader, b[:]); n != 1 || err != nil {
		t.Fatalf("they are not connected: %d, %v", n, err)
	}
}
