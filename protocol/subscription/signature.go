package subscription

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // uWSGI's documentation names it, and so do configurations
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"envoxyd/protocol/uwsgi"
)

// Digest returns the hash function that OpenSSL has under that name.
func Digest(name string) (crypto.Hash, error) {
	switch strings.ToUpper(name) {
	case "SHA1":
		return crypto.SHA1, nil
	case "SHA224":
		return crypto.SHA224, nil
	case "SHA256":
		return crypto.SHA256, nil
	case "SHA384":
		return crypto.SHA384, nil
	case "SHA512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("there is no digest %q; there are SHA1, SHA224, SHA256, SHA384, SHA512", name)
}

// Errors of signatures.
var (
	ErrUnsigned  = errors.New("it is not signed")
	ErrSignature = errors.New("its signature is not that of the key")
)

// AppendSigned appends the datagram to dst, with a signature behind it.
func (p *Packet) AppendSigned(dst []byte, key *rsa.PrivateKey, digest crypto.Hash) ([]byte, error) {
	vars := p.vars()
	sum := digest.New()
	_, _ = sum.Write(vars) // a hash takes everything
	sign, err := rsa.SignPKCS1v15(rand.Reader, key, digest, sum.Sum(nil))
	if err != nil {
		return dst, fmt.Errorf("signing the subscription to %s: %w", p.Key, err)
	}
	return p.finish(dst, uwsgi.AppendVar(vars, "sign", sign)), nil
}

// Verify checks the signature of a packet that was parsed. Whether it is a new one is the caller's business: Unix.
func (p *Packet) Verify(key *rsa.PublicKey, digest crypto.Hash) error {
	if p.Sign == nil || p.Unix == 0 {
		return ErrUnsigned
	}
	sum := digest.New()
	_, _ = sum.Write(p.signed)
	if rsa.VerifyPKCS1v15(key, digest, sum.Sum(nil), p.Sign) != nil {
		return ErrSignature
	}
	return nil
}

// KeyFile is the name of the file that holds the public key of who may announce nodes for this key: what no host
// name has becomes an underscore.
func KeyFile(key string) string {
	name := []byte(key)
	for i, c := range name {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.' && i > 0:
		default:
			name[i] = '_'
		}
	}
	return string(name) + ".pem"
}

// PublicKey reads an RSA key as "openssl rsa -pubout" writes it.
func PublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("there is no PEM block")
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, is := parsed.(*rsa.PublicKey)
	if !is {
		return nil, errors.New("it is no RSA key")
	}
	return key, nil
}

// PrivateKey reads an RSA key as "openssl genrsa" writes it.
func PrivateKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("there is no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, is := parsed.(*rsa.PrivateKey)
	if !is {
		return nil, errors.New("it is no RSA key")
	}
	return key, nil
}
