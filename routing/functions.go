package routing

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// functions makes the functions of ${name[argument]}: nil for an argument that never gives anything, which is noted.
// It is filled by init because functions compile templates themselves.
var functions map[string]func(c *compiler, argument string) function

func init() {
	functions = map[string]func(c *compiler, argument string) function{
		"qs":       func(c *compiler, key string) function { return keyed(c, "QUERY_STRING", key, '&') },
		"cookie":   func(c *compiler, key string) function { return keyed(c, "HTTP_COOKIE", key, ';') },
		"uwsgi":    infoFunction,
		"time":     timeFunction,
		"httptime": httptimeFunction,
		"math":     mathFunction,
		"rpc":      rpcFunction,
		"metric":   metricFunction,
		"mime": ofVariable(func(to, value []byte, r *Request) []byte {
			return append(to, r.outside.MIME(string(value))...)
		}),
		"base64": ofVariable(func(to, value []byte, _ *Request) []byte { return base64.StdEncoding.AppendEncode(to, value) }),
		"hex": ofVariable(func(to, value []byte, _ *Request) []byte {
			from := len(to)
			return append(to[:from], bytes.ToUpper(hex.AppendEncode(nil, value))...)
		}),
		"upper": ofVariable(func(to, value []byte, _ *Request) []byte { return append(to, bytes.ToUpper(value)...) }),
		"lower": ofVariable(func(to, value []byte, _ *Request) []byte { return append(to, bytes.ToLower(value)...) }),
	}
}

// otherFunctions are those of uWSGI's plugins that are not here.
var otherFunctions = map[string]string{
	"geoip":     "have nginx's geoip module set a variable, and use ${THAT_VARIABLE}",
	"lua":       "there is no Lua: use ${rpc[FUNCTION ARGUMENTS]} with a function of the application's",
	"memcached": "use a cache of --cache2 and cachevar:",
	"redis":     "use a cache of --cache2 and cachevar:",
	"xattr":     "extended attributes are not read",
	"legion":    "there are no legions",
}

// noteNothing is about ${name[…]} that uWSGI leaves empty, too.
func (c *compiler) noteNothing(text, word string) {
	if instead, known := otherFunctions[word]; known {
		c.fail("${%s} is not supported: %s", text, instead)
		return
	}
	c.note("${%s} is empty: there is no such function", text)
}

// ofVariable makes functions of the value of a variable that the argument names. A missing one is empty.
func ofVariable(f func(to, value []byte, r *Request) []byte) func(c *compiler, name string) function {
	return func(c *compiler, name string) function {
		i := c.program.names.add(name)
		return func(to []byte, r *Request) []byte {
			value := r.variable(i)
			if len(value) == 0 {
				return to
			}
			return f(to, value, r)
		}
	}
}

// keyed is the value of the first KEY=VALUE with this key in a variable, as it was sent: percent signs stay. Blanks
// around are those between cookies.
func keyed(c *compiler, name, key string, separator byte) function {
	i := c.program.names.add(name)
	return func(to []byte, r *Request) []byte {
		for rest := r.variable(i); len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{separator})
			if separator == ';' {
				pair = bytes.Trim(pair, " \t")
			}
			if k, value, found := bytes.Cut(pair, []byte("=")); found && string(k) == key {
				return append(to, value...)
			}
		}
		return to
	}
}

func infoFunction(c *compiler, what string) function {
	if what == "status" {
		return func(to []byte, r *Request) []byte { return strconv.AppendInt(to, int64(r.Status), 10) }
	}
	info, known := infos[what]
	if !known {
		c.note("${uwsgi[%s]} is empty: there is no such value", what)
		return nil
	}
	return func(to []byte, r *Request) []byte { return r.outside.AppendInfo(to, info) }
}

func timeFunction(c *compiler, what string) function {
	switch what {
	case "unix":
		return func(to []byte, r *Request) []byte { return strconv.AppendInt(to, r.outside.Now().Unix(), 10) }
	case "micros":
		return func(to []byte, r *Request) []byte { return strconv.AppendInt(to, r.outside.Now().UnixMicro(), 10) }
	}
	c.note("${time[%s]} is empty: there are unix and micros", what)
	return nil
}

// httpDate is the form of dates in headers, RFC 9110.
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// appendDate appends a date of a header; years stay within four digits.
func appendDate(to []byte, unix int64) []byte {
	const last = 253402300799 // of the year 9999
	return time.Unix(min(max(unix, 0), last), 0).UTC().AppendFormat(to, httpDate)
}

func httptimeFunction(_ *compiler, seconds string) function {
	n := leadingInt([]byte(seconds))
	return func(to []byte, r *Request) []byte {
		return appendDate(to, saturatingAdd(r.outside.Now().Unix(), n))
	}
}

func metricFunction(_ *compiler, name string) function {
	return func(to []byte, r *Request) []byte {
		if value, found := r.outside.Metric(name); found {
			return strconv.AppendInt(to, value, 10)
		}
		return to
	}
}

// rpcFunction calls a function with words; variables cannot stand in them, because } ends the insertion.
func rpcFunction(c *compiler, text string) function {
	call, err := parseCall(c, text)
	if err != nil {
		c.fail("${rpc[%s]}: %w", text, err)
		return nil
	}
	return func(to []byte, r *Request) []byte {
		result, err := call.do(r)
		if err != nil {
			r.log(fmt.Sprintf("${rpc[%s]}: %v", text, err))
			return to
		}
		return append(to, result...)
	}
}
