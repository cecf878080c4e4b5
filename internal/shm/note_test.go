package shm

import (
	"bytes"
	"errors"
	"testing"
)

func TestNote(t *testing.T) {
	file, err := NewNoteFile("test")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	writer, err := OpenNote(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	reader, err := OpenNote(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got := reader.Read(); got != nil {
		t.Errorf("before the first Write: %q", got)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 20000 {
			if err := writer.Write(bytes.Repeat([]byte{byte('a' + n%26)}, n%5000)); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		text := reader.Read()
		for i := range text {
			if text[i] != text[0] {
				t.Fatalf("a note that was read in halves: %.20q at %d", text, i)
			}
		}
	}
	if err := writer.Write(make([]byte, NoteSize)); !errors.Is(err, ErrNoteTooLong) {
		t.Errorf("a note that does not fit: %v", err)
	}
}
