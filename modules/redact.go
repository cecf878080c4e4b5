package modules

import (
	"regexp"
	"strings"
)

const hidden = "***"

// Redact returns a document with every secret replaced: values of keys that name one,
// and passwords in URLs and connection strings. What does not parse is hidden as a whole.
func Redact(document []byte) []byte {
	parsed, err := parse(document)
	if err != nil {
		return newText(hidden).encode()
	}
	redact(parsed, false)
	return parsed.encode()
}

func redact(n *node, secret bool) {
	switch n.kind {
	case object:
		for _, m := range n.members {
			redact(m.value, secret || isSecret(m.key))
			if users := m.value.get("users"); m.key == "plain" && users != nil { // of ZeroMQ: passwords by user
				redact(users, true)
			}
		}
	case list:
		for _, item := range n.items {
			redact(item, secret)
		}
	case text, number:
		switch {
		case secret && n.text != "":
			n.kind, n.text = text, hidden
		case n.kind == text:
			n.text = redactText(n.text)
		}
	}
}

func isSecret(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "_path") { // of a file
		return false
	}
	for _, word := range []string{"passw", "secret", "token", "api_key", "apikey", "private_key"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return key == "pwd" || key == "pass"
}

var (
	urlPassword     = regexp.MustCompile(`(\w://[^/?#\s:@]*:)\S*@`)
	keywordPassword = regexp.MustCompile(`(?i)((?:password|passwd|client_secret|access_token)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)`)
)

func redactText(value string) string {
	value = urlPassword.ReplaceAllString(value, "${1}"+hidden+"@")
	return keywordPassword.ReplaceAllString(value, "${1}"+hidden)
}
