// Package openssl reads and writes what users of OpenSSL know: lists of ciphers, numbers of options, names of certificates on
// one line. It knows no connections.
package openssl

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Ciphers is what a list of ciphers (openssl-ciphers(1)) means here.
type Ciphers struct {
	// Suites are those of crypto/tls for TLS 1.2 and older, in no order that matters: the server prefers by itself.
	Suites []uint16
	// Passed are words of the list that OpenSSL knows and that stand for nothing that is offered here.
	Passed []string
}

// suite is a cipher suite that is offered here.
type suite struct {
	name  string // OpenSSL's
	id    uint16
	words string // that include it; "": only its name does, as it is weak
}

const (
	ephemeral = " ALL DEFAULT HIGH kECDHE kEECDH ECDHE EECDH ECDH "
	rsa       = "aRSA "
	ecdsa     = "aECDSA ECDSA "
	aes128    = "AES AES128 "
	aes256    = "AES AES256 "
	gcm       = "AESGCM TLSv1.2 "
	chacha    = "CHACHA20 TLSv1.2 "
	cbc       = "SHA SHA1 CBC TLSv1 TLSv1.0 "
)

// suites: the weak ones are RSA's key exchange, without forward secrecy, and CBC with SHA-256, which Go does not protect against timing.
var suites = []suite{
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ephemeral + ecdsa + aes128 + gcm},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ephemeral + ecdsa + aes256 + gcm},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, ephemeral + ecdsa + chacha},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ephemeral + rsa + aes128 + gcm},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, ephemeral + rsa + aes256 + gcm},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, ephemeral + rsa + chacha},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ephemeral + ecdsa + aes128 + cbc},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, ephemeral + ecdsa + aes256 + cbc},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, ephemeral + rsa + aes128 + cbc},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, ephemeral + rsa + aes256 + cbc},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ""},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, ""},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, ""},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, ""},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, ""},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, ""},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, ""},
}

func (s *suite) has(word string) bool { return strings.Contains(s.words, " "+word+" ") }

// vocabulary is of what OpenSSL's names are made, beside the words of suites.
var vocabulary = strings.Fields(`aNULL eNULL NULL aDSS DSS aDH aECDH aPSK aSRP aGOST aGOST01 aGOST12 kRSA RSA kDHE kEDH DHE EDH DH kDH kDHr kDHd ADH AECDH
	kECDH kECDHr kECDHe kPSK kECDHEPSK kDHEPSK kRSAPSK kSRP kGOST kGOST18 PSK SRP SSLv2 SSLv3 AES128CCM AESCCM AESCCM8 CCM CCM8 GCM POLY1305
	CAMELLIA CAMELLIA128 CAMELLIA256 ARIA ARIAGCM ARIA128 ARIA256 SEED IDEA RC2 RC4 DES 3DES CBC3 MD5 SHA256 SHA384 GOST GOST94 GOST89 GOST89MAC
	GOST2001 GOST2012 MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 COMPLEMENTOFALL COMPLEMENTOFDEFAULT`)

// ParseCiphers reads a list of ciphers. What is written more than the set of suites (order, @STRENGTH) has no effect: the server
// prefers by itself. TLS 1.3 has three suites, which are always offered. A word that OpenSSL does not know is an error, as is a
// list that leaves nothing.
func ParseCiphers(text string) (Ciphers, error) {
	list := cipherList{allowed: map[uint16]bool{}, killed: map[uint16]bool{}}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == ' ' || r == ',' || r == ';' }) {
		if err := list.add(word); err != nil {
			return Ciphers{}, err
		}
	}
	c := Ciphers{Passed: list.passed}
	for i := range suites {
		if list.allowed[suites[i].id] {
			c.Suites = append(c.Suites, suites[i].id)
		}
	}
	if len(c.Suites) == 0 {
		return Ciphers{}, fmt.Errorf("ciphers %q: none of them is offered", text)
	}
	return c, nil
}

type cipherList struct {
	allowed, killed map[uint16]bool
	passed          []string
}

// add does what one word of the list says.
func (l *cipherList) add(word string) error {
	if rule, is := strings.CutPrefix(word, "@"); is {
		level, isLevel := strings.CutPrefix(rule, "SECLEVEL=")
		if rule != "STRENGTH" && (!isLevel || len(level) != 1 || level[0] < '0' || level[0] > '5') {
			return fmt.Errorf("%q is no rule for ciphers", word)
		}
		if isLevel {
			l.passed = append(l.passed, word)
		}
		return nil
	}
	sign, names := byte(0), word
	if strings.IndexByte("!-+", word[0]) >= 0 {
		sign, names = word[0], word[1:]
	}
	found, err := match(names)
	if err != nil {
		return err
	}
	if len(found) == 0 && sign == 0 {
		l.passed = append(l.passed, word)
	}
	for _, id := range found {
		switch sign {
		case '!':
			l.killed[id] = true
			delete(l.allowed, id)
		case '-':
			delete(l.allowed, id)
		case 0:
			if !l.killed[id] {
				l.allowed[id] = true
			}
		}
	}
	return nil
}

// match finds the suites that have a name, or all of the words that are joined by plus signs.
func match(names string) (found []uint16, err error) {
	words := strings.Split(names, "+")
	for _, word := range words {
		if !known(word) {
			return nil, fmt.Errorf("%q is no cipher that OpenSSL knows", names)
		}
	}
	for i := range suites {
		s := &suites[i]
		if s.name == names || !slices.ContainsFunc(words, func(word string) bool { return !s.has(word) }) {
			found = append(found, s.id)
		}
	}
	return found, nil
}

// known tells whether a word is a name of OpenSSL's, or made as they are.
func known(word string) bool {
	if word == "" {
		return false
	}
	if rest, is := strings.CutPrefix(word, "TLS_"); is {
		return strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
	}
	for part := range strings.SplitSeq(word, "-") {
		if !slices.Contains(vocabulary, part) && !slices.ContainsFunc(suites, func(s suite) bool { return s.has(part) }) {
			return false
		}
	}
	return true
}

// HTTP2 tells whether HTTP/2 can be spoken over TLS 1.2 with one of the suites (RFC 9113, 9.2.2); none stands for crypto/tls's own.
func HTTP2(chosen []uint16) bool {
	return len(chosen) == 0 || slices.ContainsFunc(chosen, func(id uint16) bool {
		return slices.ContainsFunc(suites, func(s suite) bool { return s.id == id && (s.has("AESGCM") || s.has("CHACHA20")) })
	})
}
