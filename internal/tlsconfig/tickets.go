package tlsconfig

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"envoxyd/internal/tlsspec"
)

// ticketKeys are the keys of session tickets for one certificate, the one for new tickets first. A ticket is of use only where
// the same socket, host and demands on clients meet: one that was given without a client's certificate, or for another CA's,
// opens nothing else. All workers derive the same.
func (s *Store) ticketKeys(c *tlsspec.Certificate, name string, contents Contents) [][32]byte {
	required := "optional"
	if c.Required {
		required = "required"
	}
	keys := make([][32]byte, 0, len(contents.Seeds))
	for _, seed := range contents.Seeds {
		h := hmac.New(sha256.New, seed)
		for _, part := range [][]byte{[]byte(s.spec.Context), []byte(name), []byte(required), contents.Files[c.ClientCA]} {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // so that no two lists of parts are alike
			_, _ = h.Write(part)
		}
		keys = append(keys, [32]byte(h.Sum(nil)))
	}
	return keys
}
