// Package upstream has another server answer a request: it makes the bytes of the request from the uwsgi variables, and reads
// the answer piece by piece. Nothing here knows of workers, and a request's and a response's size never matter.
package upstream
