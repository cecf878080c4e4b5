package m2m

import (
	"errors"
	"strings"
)

// ErrKey is about a text that is no key of CURVE.
var ErrKey = errors.New("a key of CURVE has 40 characters in Z85, as zmq.curve_keypair() and curve_keygen make them")

// z85 are the digits of ZeroMQ's RFC 32.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// CheckKey is nil for what can be a key of CURVE, public or secret.
func CheckKey(text string) error {
	if len(text) != 40 {
		return ErrKey
	}
	for group := 0; group < 40; group += 5 {
		value := uint64(0)
		for _, digit := range []byte(text[group : group+5]) {
			at := strings.IndexByte(z85, digit)
			if at < 0 {
				return ErrKey
			}
			value = value*85 + uint64(at)
		}
		if value > 1<<32-1 {
			return ErrKey
		}
	}
	return nil
}

// KeyIn finds a secret key in the text of a file: the key alone, or a certificate with a line `secret-key = "…"`
// as pyzmq and czmq write them.
func KeyIn(file string) (string, error) {
	for _, line := range strings.Split(file, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") && CheckKey(line) != nil {
			continue
		}
		if name, value, is := strings.Cut(line, "="); is && strings.TrimSpace(name) == "secret-key" {
			line = strings.Trim(strings.TrimSpace(value), `"`)
		}
		if CheckKey(line) == nil {
			return line, nil
		}
	}
	return "", ErrKey
}
