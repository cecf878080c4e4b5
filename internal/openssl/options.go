package openssl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Bits of SSL_CTX_set_options(3), OpenSSL 1.1 to 3.
const (
	NoTicket = 1 << 14
	noTLS10  = 1 << 26
	noTLS12  = 1 << 27
	noTLS11  = 1 << 28
	noTLS13  = 1 << 29
)

// option is one bit: without refusal it has an effect here, or is how things are anyway.
type option struct{ name, refusal string }

const (
	noLegacy = "older and unsafe forms of the protocol are not there"
	noKnob   = "it cannot be chosen here"
)

var options = map[int]option{
	2:  {"SSL_OP_LEGACY_SERVER_CONNECT", ""}, // of clients
	3:  {"SSL_OP_ENABLE_KTLS", "records are encrypted by the worker"},
	4:  {"SSL_OP_TLSEXT_PADDING", ""}, // of clients
	6:  {"SSL_OP_SAFARI_ECDHE_ECDSA_BUG", ""},
	7:  {"SSL_OP_IGNORE_UNEXPECTED_EOF", ""}, // requests have a length of their own
	8:  {"SSL_OP_ALLOW_CLIENT_RENEGOTIATION", noLegacy},
	9:  {"SSL_OP_DISABLE_TLSEXT_CA_NAMES", noKnob},
	10: {"SSL_OP_ALLOW_NO_DHE_KEX", noKnob},
	11: {"SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS", ""}, // records are split in another way
	14: {"SSL_OP_NO_TICKET", ""},
	16: {"SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION", ""}, // nothing is negotiated again
	17: {"SSL_OP_NO_COMPRESSION", ""},                         // as always
	18: {"SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION", noLegacy},
	19: {"SSL_OP_NO_ENCRYPT_THEN_MAC", ""},      // as always; SSL_OP_SINGLE_ECDH_USE in OpenSSL 1.0, as always too
	20: {"SSL_OP_ENABLE_MIDDLEBOX_COMPAT", ""},  // as always; SSL_OP_SINGLE_DH_USE in OpenSSL 1.0
	21: {"SSL_OP_PRIORITIZE_CHACHA", ""},        // the server prefers what is quick for the client
	22: {"SSL_OP_CIPHER_SERVER_PREFERENCE", ""}, // as always
	23: {"SSL_OP_TLS_ROLLBACK_BUG", noLegacy},
	24: {"SSL_OP_NO_ANTI_REPLAY", ""}, // there is no early data; SSL_OP_NO_SSLv2 in OpenSSL 1.0
	25: {"SSL_OP_NO_SSLv3", ""},       // as always
	26: {"SSL_OP_NO_TLSv1", ""},
	27: {"SSL_OP_NO_TLSv1_2", ""},
	28: {"SSL_OP_NO_TLSv1_1", ""},
	29: {"SSL_OP_NO_TLSv1_3", ""},
	30: {"SSL_OP_NO_RENEGOTIATION", ""}, // as always
	31: {"SSL_OP_CRYPTOPRO_TLSEXT_BUG", ""},
}

// ParseOption reads the number of an option, or a sum of such. One that cannot be obeyed is an error with its name.
func ParseOption(text string) (uint64, error) {
	number, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of an OpenSSL option (SSL_CTX_set_options)", text)
	}
	for rest := number; rest != 0; rest &= rest - 1 {
		bit := bits.TrailingZeros64(rest)
		one, known := options[bit]
		switch {
		case !known:
			return 0, fmt.Errorf("%#x (bit %d of %s) is no option of OpenSSL that is known here", uint64(1)<<bit, bit, text)
		case one.refusal != "":
			return 0, fmt.Errorf("%s (%#x) is not supported: %s", one.name, uint64(1)<<bit, one.refusal)
		}
	}
	return number, nil
}

// Versions are the oldest and the newest version of TLS that is offered, as crypto/tls numbers them: 1.2 and 1.3, with old
// 1.0 and 1.1 too, less those that options switch off.
func Versions(old bool, options uint64) (oldest, newest uint16, err error) {
	gap := false
	for _, v := range []struct {
		number  uint16
		off     uint64
		offered bool
	}{{tls.VersionTLS10, noTLS10, old}, {tls.VersionTLS11, noTLS11, old}, {tls.VersionTLS12, noTLS12, true}, {tls.VersionTLS13, noTLS13, true}} {
		switch {
		case !v.offered || options&v.off != 0:
			gap = oldest != 0
		case gap:
			return 0, 0, errors.New("a version of TLS between two others cannot be left out")
		default:
			if oldest == 0 {
				oldest = v.number
			}
			newest = v.number
		}
	}
	if oldest == 0 {
		return 0, 0, errors.New("no version of TLS is left")
	}
	return oldest, newest, nil
}
