package routing

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"envoxyd/internal/htpasswd"
)

// authActions ask for a name and a password: basicauth:REALM,USER:PASSWORD or basicauth:REALM,FILE. With -next who is
// not let in by this rule may be by another one; who says no name at all is asked for one. Who has a name already, by
// another rule or the server in front, is not asked again.
var authActions = map[string]builder{
	"basicauth":      basicAuthAction(false),
	"basicauth-next": basicAuthAction(true),
}

func basicAuthAction(goOn bool) builder {
	return func(c *compiler, argument string) (action, error) {
		realm, who, found := strings.Cut(argument, ",")
		if !found {
			return nil, fmt.Errorf("%w: it is REALM,USER:PASSWORD or REALM,FILE", errSyntax)
		}
		allowed := nobody
		switch {
		case strings.Contains(who, ":"):
			allowed = onlyOne(who)
		case who != "":
			allowed = listed(htpasswd.New(who))
		}
		header, user := c.program.names.add("HTTP_AUTHORIZATION"), c.program.names.add("REMOTE_USER")
		refusal := &Answer{Status: "401 Authorization Required", Headers: []string{"WWW-Authenticate: Basic realm=" + quoted(realm)}, Body: []byte("Unauthorized")}
		return func(r *Request) outcome {
			if len(r.variable(user)) > 0 {
				return next
			}
			credentials, given := basicCredentials(r.variable(header))
			if !given {
				return r.answer(refusal)
			}
			if allowed(r, credentials) {
				name, _, _ := bytes.Cut(credentials, []byte(":"))
				return r.put("REMOTE_USER", name)
			}
			if goOn {
				return next
			}
			return r.answer(refusal)
		}, nil
	}
}

// quoted is a quoted-string of RFC 9110.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(cut([]byte(text)))) + `"`
}

// basicCredentials reads USER:PASSWORD of an Authorization header, RFC 7617.
func basicCredentials(header []byte) ([]byte, bool) {
	scheme, token, _ := bytes.Cut(header, []byte(" "))
	if !strings.EqualFold(string(scheme), "basic") {
		return nil, false
	}
	text := strings.TrimRight(strings.TrimSpace(string(token)), "=")
	credentials, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || text == "" {
		return nil, false
	}
	return credentials, true
}

// who tells whether credentials are right.
type who func(r *Request, credentials []byte) bool

func nobody(*Request, []byte) bool { return false }

// onlyOne compares digests, which have the same length whatever is sent.
func onlyOne(credentials string) who {
	want := sha256.Sum256([]byte(credentials))
	return func(_ *Request, given []byte) bool {
		digest := sha256.Sum256(given)
		return subtle.ConstantTimeCompare(want[:], digest[:]) == 1
	}
}

func listed(users *htpasswd.File) who {
	return func(r *Request, credentials []byte) bool {
		name, password, found := bytes.Cut(credentials, []byte(":"))
		if !found {
			return false
		}
		right, err := users.Check(string(name), password)
		if err != nil {
			r.log(fmt.Sprintf("basicauth: %v", err))
		}
		return right
	}
}
