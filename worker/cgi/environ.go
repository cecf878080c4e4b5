package cgi

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"envoxyd/protocol/uwsgi"
)

// ErrNUL is a request with a variable that no environment can hold.
var ErrNUL = errors.New("a variable of the request has a NUL in it")

// Body is what a program is told about the body of its request, in bytes; NoBody: there is none.
type Body int64

// NoBody is a request without a body.
const NoBody Body = -1

// Environ is the environment of a program by RFC 3875, 4.1: what the server has itself (base), the variables of the
// request (a uwsgi block), and those that tell about the program.
func (s *Server) Environ(base []string, block []byte, p *Program, body Body, software string) ([]string, error) {
	env := map[string]string{}
	for _, pair := range base {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	env["REDIRECT_STATUS"] = "200" // php-cgi runs nothing without it
	env["QUERY_STRING"] = ""
	delete(env, "DOCUMENT_ROOT")
	for len(block) > 0 {
		name, value, rest, err := uwsgi.Next(block)
		if err != nil {
			return nil, err
		}
		block = rest
		if !passes(string(name)) {
			continue
		}
		if slices.Contains(value, 0) {
			return nil, ErrNUL
		}
		env[string(name)] = string(value)
	}
	if env["DOCUMENT_ROOT"] == "" {
		env["DOCUMENT_ROOT"] = p.Root
	}
	env["GATEWAY_INTERFACE"] = "CGI/1.1"
	env["SERVER_SOFTWARE"] = software
	env["SCRIPT_NAME"], env["SCRIPT_FILENAME"] = p.Name, p.File
	switch {
	case p.Single:
		env["PATH_INFO"], env["PATH_TRANSLATED"] = p.PathInfo, p.File+p.PathInfo
	case p.PathInfo != "":
		env["PATH_INFO"], env["PATH_TRANSLATED"] = p.PathInfo, strings.TrimSuffix(env["DOCUMENT_ROOT"], "/")+p.PathInfo
	default:
		delete(env, "PATH_INFO")
		delete(env, "PATH_TRANSLATED")
	}
	delete(env, "CONTENT_LENGTH")
	if body != NoBody {
		env["CONTENT_LENGTH"] = strconv.FormatInt(int64(body), 10)
	}
	if env["CONTENT_TYPE"] == "" { // as nginx sends it
		delete(env, "CONTENT_TYPE")
	}
	for _, name := range s.options.Unset {
		delete(env, name)
	}
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list, nil
}

// passes tells whether a variable of the request becomes one of the environment. Not so: HTTP_PROXY, a header by which
// programs would take a client's word for their proxy (httpoxy); what tells of a coding that was undone; and what
// commands the loader.
func passes(name string) bool {
	switch {
	case name == "" || name == "HTTP_PROXY" || name == "HTTP_TRANSFER_ENCODING" || strings.HasPrefix(name, "LD_"):
		return false
	case name[0] >= '0' && name[0] <= '9':
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
