// Package htpasswd checks passwords against files of USER:HASH lines, as htpasswd(1) and mkpasswd(1) make them.
package htpasswd

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// maxFile is the size of a file that is read, in bytes.
	maxFile = 16 << 20
	// maxPassword is the longest password, in bytes: some hashes take the square of its length.
	maxPassword = 511
)

// File is a file of users. It is read when it is first asked for, and again whenever it has changed. It may be used by
// several goroutines.
type File struct {
	path string

	mu      sync.Mutex
	version version
	users   map[string]string   // hash by name
	known   map[string][32]byte // passwords that were right, by name: a digest with the key
	key     [32]byte
	decoy   string // a hash that unknown users are compared with, so that they take as long
}

// version tells whether a file has changed.
type version struct {
	size     int64
	modified time.Time
	file     os.FileInfo // which file it is
}

// New returns a file, which is not read yet. The path is relative to the working directory of whoever asks.
func New(path string) *File { return &File{path: path} }

// Check tells whether the file has the user with that password. The error is about the file. A password that was
// right once costs little after that, until the file changes.
func (f *File) Check(user string, password []byte) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	hash, digest, right, err := f.look(user, password)
	if err != nil || right {
		return right, err
	}
	if !verify(hash, password) || !f.has(user, hash) {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users[user] == hash {
		f.known[user] = digest
	}
	return true, nil
}

// look returns the user's hash, or another's, and whether the password is known to be right.
func (f *File) look(user string, password []byte) (hash string, digest [32]byte, right bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return "", digest, false, err
	}
	mac := hmac.New(sha256.New, f.key[:])
	mac.Write([]byte(user + "\x00"))
	mac.Write(password)
	mac.Sum(digest[:0])
	if known, found := f.known[user]; found {
		right = subtle.ConstantTimeCompare(known[:], digest[:]) == 1
	}
	hash, found := f.users[user]
	if !found {
		hash = f.decoy
	}
	return hash, digest, right, nil
}

// has tells whether the hash is the user's own.
func (f *File) has(user, hash string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	own, found := f.users[user]
	return found && own == hash
}

// refresh reads the file if it is not the one that was read.
func (f *File) refresh() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	now := version{info.Size(), info.ModTime(), info}
	if f.users != nil && now.size == f.version.size && now.modified.Equal(f.version.modified) && os.SameFile(info, f.version.file) {
		return nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return fmt.Errorf("users of %s: %w", f.path, err)
	}
	if len(text) > maxFile {
		return fmt.Errorf("users of %s: more than %d bytes", f.path, maxFile)
	}
	if _, err := rand.Read(f.key[:]); err != nil {
		return fmt.Errorf("users of %s: %w", f.path, err)
	}
	f.users, f.known, f.version = parse(text), map[string][32]byte{}, now
	f.decoy = ""
	for _, hash := range f.users {
		f.decoy = hash
		break
	}
	return nil
}

// parse reads lines of USER:HASH; the first line of a user counts, and lines without a colon, or that begin with #,
// are left out.
func parse(text []byte) map[string]string {
	users := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxFile+1)
	for lines.Scan() {
		user, hash, found := bytes.Cut(bytes.TrimRight(lines.Bytes(), " \t\r"), []byte(":"))
		if !found || len(user) == 0 || len(hash) == 0 || user[0] == '#' {
			continue
		}
		if _, again := users[string(user)]; !again {
			users[string(user)] = string(hash)
		}
	}
	return users
}
