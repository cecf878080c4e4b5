package uwsgiopts

import (
	"errors"
	"fmt"
	"strings"
)

// ExitError is a refusal to start. Status is the process's exit status.
type ExitError struct {
	Status int
	Origin Origin // zero when no single place is to blame
	Err    error
}

// Error names the place, the chain of files that led there, and the reason.
func (e *ExitError) Error() string {
	where := e.Origin.String()
	if where == "" {
		return e.Err.Error()
	}
	return where + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *ExitError) Unwrap() error { return e.Err }

// refuse makes an ExitError with status 1.
func refuse(o Origin, format string, args ...any) error {
	return &ExitError{Status: 1, Origin: o, Err: fmt.Errorf(format, args...)}
}

// refuseBecause gives err a place, unless it has one.
func refuseBecause(o Origin, err error) error {
	var known *ExitError
	var end *endError
	if err == nil || errors.As(err, &known) || errors.As(err, &end) {
		return err
	}
	return &ExitError{Status: 1, Origin: o, Err: err}
}

// String returns "file:line (included from file:line, …)"; "" for the zero Origin.
func (o Origin) String() string {
	where := o.place()
	if len(o.Chain) > 0 {
		where += " (included from " + strings.Join(o.Chain, ", ") + ")"
	}
	return where
}

// place returns the origin without the chain.
func (o Origin) place() string {
	if o.Line > 0 {
		return fmt.Sprintf("%s:%d", o.Source, o.Line)
	}
	return o.Source
}

// endError carries an Action up to Parse: the start ends here, and not by an error.
type endError struct{ Action }

// Error describes the action.
func (e *endError) Error() string { return "the start ends with " + e.Kind.String() }
