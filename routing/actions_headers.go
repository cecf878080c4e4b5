package routing

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// headerActions are about the response: its headers, and how its body is sent.
var headerActions = map[string]builder{
	"addheader":      addHeaderAction,
	"delheader":      removeHeaderAction,
	"remheader":      removeHeaderAction,
	"clearheaders":   clearHeadersAction,
	"resetheaders":   clearHeadersAction,
	"disableheaders": plain(func(r *Request) outcome { r.Effects.NoHeaders = true; return next }),
	"expires":        expiresAction,
	"chunked":        plain(func(r *Request) outcome { r.Effects.Chunked = true; return next }),
	"gzip":           plain(func(r *Request) outcome { r.Effects.Gzip = true; return next }),
	"fixcl":          plain(func(r *Request) outcome { r.Effects.FixLength = true; return next }),
	"forcecl":        plain(func(r *Request) outcome { r.Effects.ForceLength = true; return next }),
	"flush":          plain(func(*Request) outcome { return next }), // heads leave with the first piece of the body, which is never kept back
	"send":           sendAction(""),
	"send-crnl":      sendAction("\r\n"),
}

// addHeaderAction adds a line to the response. The line ends where a client would have begun another one.
func addHeaderAction(c *compiler, argument string) (action, error) {
	text := c.template(argument)
	if text.constant != nil {
		line, valid := headerLine(text.constant)
		if !valid || len(line) != len(bytes.TrimLeft(text.constant, " \t")) {
			return nil, fmt.Errorf("%q is not a header, which is NAME: VALUE", argument)
		}
		return func(r *Request) outcome { r.Effects.AddHeaders = append(r.Effects.AddHeaders, line); return next }, nil
	}
	return func(r *Request) outcome {
		line, valid := headerLine(text.text(r))
		if !valid {
			r.log(fmt.Sprintf("%q is not a header, and left out", line))
			return next
		}
		r.Effects.AddHeaders = append(r.Effects.AddHeaders, line)
		return next
	}, nil
}

func removeHeaderAction(c *compiler, argument string) (action, error) {
	name := c.template(argument)
	if name.constant != nil && !isToken(name.constant) {
		return nil, fmt.Errorf("%q is not the name of a header", argument)
	}
	return func(r *Request) outcome {
		r.Effects.RemoveHeaders = append(r.Effects.RemoveHeaders, name.text(r))
		return next
	}, nil
}

// clearHeadersAction begins the response anew with another status. It has an effect in the response stage alone: before,
// the application's own status follows.
func clearHeadersAction(c *compiler, argument string) (action, error) {
	status, valid := statusLine([]byte(argument))
	if !valid {
		return nil, fmt.Errorf("%q is not a status: three digits from 200 on, and perhaps a blank and a reason", argument)
	}
	if c.given.Stage != StageResponse {
		c.note("headers are cleared by response rules alone: here the application's follow")
		return func(*Request) outcome { return next }, nil
	}
	return func(r *Request) outcome {
		r.Effects.ClearHeaders = status
		r.Effects.AddHeaders = r.Effects.AddHeaders[:0]
		return next
	}, nil
}

// sendAction sends bytes as they are, before the response. Text of a client's in it ends at its first control byte: it
// must not make headers, or another response.
func sendAction(end string) builder {
	return func(c *compiler, argument string) (action, error) {
		text := c.template(argument)
		return func(r *Request) outcome {
			for i := range text.parts {
				p := &text.parts[i]
				if p.kind == literalPart {
					r.Effects.Raw = append(r.Effects.Raw, p.text...)
					continue
				}
				from := len(r.Effects.Raw)
				r.Effects.Raw = p.append(r.Effects.Raw, r)
				r.Effects.Raw = r.Effects.Raw[:from+len(cut(r.Effects.Raw[from:]))]
			}
			r.Effects.Raw = append(r.Effects.Raw, end...)
			r.Effects.RawSent = true
			return next
		}, nil
	}
}

// expiresAction adds an Expires header: expires:unix=SECONDS or filename=FILE, whose change counts, and value=SECONDS
// that are added. All may have variables in them. A file that is not there gives no header.
func expiresAction(c *compiler, argument string) (action, error) {
	s, err := readSettings(argument, "unix", "filename", "value")
	if err != nil {
		return nil, err
	}
	if len(s) == 0 {
		return nil, errors.New("it needs unix=, filename= or value=")
	}
	base, value, file := c.template(s["unix"]), c.template(s["value"]), c.template(s["filename"])
	return func(r *Request) outcome {
		unix := leadingInt(base.look(r))
		if s["filename"] != "" {
			name := file.look(r)
			if bytes.IndexByte(name, 0) >= 0 {
				return next
			}
			info, err := os.Stat(string(name))
			if err != nil {
				return next
			}
			unix = info.ModTime().Unix()
		}
		unix = saturatingAdd(unix, leadingInt(value.look(r)))
		line := r.keep(appendDate(append(r.begin(), "Expires: "...), unix))
		r.Effects.AddHeaders = append(r.Effects.AddHeaders, line)
		return next
	}, nil
}
