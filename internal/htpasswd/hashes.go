package htpasswd

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/apr1_crypt"
	"github.com/GehirnInc/crypt/md5_crypt"
	"github.com/GehirnInc/crypt/sha256_crypt"
	"github.com/GehirnInc/crypt/sha512_crypt"
	"github.com/go-crypt/x/yescrypt"
	descrypt "gitlab.com/nyarla/go-crypt"
	"golang.org/x/crypto/bcrypt"
)

// verify tells whether a password has a hash. What is no known kind of hash has no password; a password as it stands is none.
func verify(hash string, password []byte) bool {
	if digest, found := strings.CutPrefix(hash, "{SHA}"); found {
		sum := sha1.Sum(password)
		return same(digest, base64.StdEncoding.EncodeToString(sum[:]))
	}
	kind := ""
	if strings.HasPrefix(hash, "$") {
		kind, _, _ = strings.Cut(hash[1:], "$")
	}
	switch kind {
	case "2", "2a", "2b", "2y":
		return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
	case "1", "5", "6", "apr1":
		// Not the libraries' Verify, which takes the hash for a part of the salt where rounds are named.
		made, err := crypters[kind]().Generate(password, []byte(hash[:strings.LastIndexByte(hash, '$')]))
		return err == nil && same(hash, made)
	case "y", "7":
		made, err := yescrypt.Hash(password, []byte(hash))
		return err == nil && same(hash, string(made))
	}
	return isDES(hash) && same(hash, descrypt.Crypt(string(password), hash[:2]))
}

// crypters make the hashes of crypt(3) that begin with $KIND$.
var crypters = map[string]func() crypt.Crypter{"1": md5_crypt.New, "5": sha256_crypt.New, "6": sha512_crypt.New, "apr1": apr1_crypt.New}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// isDES tells whether a hash is crypt(3)'s first kind: two characters of salt, eleven of hash.
func isDES(hash string) bool {
	if len(hash) != 13 {
		return false
	}
	for _, c := range []byte(hash) {
		if (c < '.' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
