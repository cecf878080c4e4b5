// Package tlsconfig makes the crypto/tls configuration of listening sockets: certificates by host name, client certificates,
// sessions that any worker resumes. Workers get files from the master, through memory, since they may not be allowed to read them.
package tlsconfig

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"envoxyd/internal/shm"
)

// vaultSize bounds what a vault holds, in bytes; only what is used of it takes memory.
const vaultSize = 16 << 20

// Seeds of ticket keys: a new one each seedPeriod, and as many as seedsKept are of use. So a session can be resumed for that long
// less a period, and nobody who learns them later reads more than that.
const (
	seedSize   = 32
	seedPeriod = 24 * time.Hour
	seedsKept  = 3
)

// Contents are what a vault holds. They are secret.
type Contents struct {
	Files   map[string][]byte `json:"files"`   // by absolute path, as they are on disk
	Seeds   [][]byte          `json:"seeds"`   // of the keys of session tickets, the newest first
	Rotated int64             `json:"rotated"` // when that one was made, in unix seconds
}

// Vault is memory that the master writes and workers read, with the files of certificates and keys. It has no name in any
// file system; whoever has its descriptor, or may look into one of the processes, can read it.
type Vault struct{ note *shm.Note }

// NewVaultFile makes the memory of a vault; it is closed on exec.
func NewVaultFile() (*os.File, error) { return shm.NewLargeNoteFile("envoxyd-tls", vaultSize) }

// OpenVault maps the vault behind a descriptor. There must be one writer at most.
func OpenVault(fd int) (*Vault, error) {
	note, err := shm.OpenNote(fd)
	if err != nil {
		return nil, fmt.Errorf("memory of certificates: %w", err)
	}
	return &Vault{note}, nil
}

// version changes with the contents.
func (v *Vault) version() uint32 { return v.note.Version() }

// Read returns a copy of what is there.
func (v *Vault) Read() (Contents, error) {
	var c Contents
	text := v.note.Read()
	if text == nil {
		return c, errors.New("memory of certificates: nothing is in there")
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("memory of certificates: %w", err)
	}
	return c, nil
}

// Write replaces what is there.
func (v *Vault) Write(c Contents) error {
	if err := v.note.WriteJSON(c); err != nil {
		return fmt.Errorf("memory of certificates: %w", err)
	}
	return nil
}

// Rotate makes a new seed if it is time to; false: it is not. An old seed ends with the third that follows it.
func (c *Contents) Rotate(now time.Time) bool {
	age := now.Sub(time.Unix(c.Rotated, 0))
	if len(c.Seeds) > 0 && age >= 0 && age < seedPeriod {
		return false
	}
	seed := make([]byte, seedSize)
	_, _ = rand.Read(seed) // it never fails
	c.Seeds = append([][]byte{seed}, c.Seeds...)
	c.Seeds = c.Seeds[:min(len(c.Seeds), seedsKept)]
	c.Rotated = now.Unix()
	return true
}
