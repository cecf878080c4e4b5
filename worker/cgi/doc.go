// Package cgi runs programs by the Common Gateway Interface (RFC 3875, uWSGI's --cgi and kin). It has two halves: which
// program answers a path, with what environment, and what the head of its output says are functions without side effects
// beyond looking at files; Start makes a process of it. Who reads its output, for how long, and what a client is told,
// is the caller's business.
package cgi
