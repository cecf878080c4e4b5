package openssl

import (
	"encoding/asn1"
	"fmt"
)

// attributeNames are OpenSSL's short names of what distinguished names are made of; others are shown by their numbers.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode",
	"2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier",
	"2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier", "1.2.840.113549.1.9.1": "emailAddress",
	"1.2.840.113549.1.9.2": "unstructuredName", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type attributeSET []attribute // encoding/asn1 reads a SET by the end of the type's name

// OneLine shows a distinguished name, given in DER, as X509_NAME_oneline(3) of OpenSSL 3 does: /C=DE/CN=x. Bytes that are not
// printable ASCII become \xNN, and a slash or plus sign within a value has a backslash before it.
func OneLine(name []byte) (string, error) {
	var sets []attributeSET
	rest, err := asn1.Unmarshal(name, &sets)
	if err == nil && len(rest) > 0 {
		err = asn1.SyntaxError{Msg: "trailing data"}
	}
	if err != nil {
		return "", fmt.Errorf("distinguished name: %w", err)
	}
	var line []byte
	for _, set := range sets {
		separator := byte('/')
		for _, one := range set {
			number := one.Type.String()
			short := attributeNames[number]
			if short == "" {
				short = number
			}
			line = append(append(append(line, separator), short...), '=')
			line = appendValue(line, one.Value.Bytes)
			separator = '+'
		}
	}
	return string(line), nil
}

func appendValue(line, value []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, b := range value {
		switch {
		case b < ' ' || b > '~':
			line = append(line, '\\', 'x', digits[b>>4], digits[b&15])
		case b == '/' || b == '+':
			line = append(line, '\\', b)
		default:
			line = append(line, b)
		}
	}
	return line
}
