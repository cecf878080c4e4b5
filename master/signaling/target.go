// Package signaling is uWSGI's signal framework: processes raise numbers from 0 to 255, the master routes each to
// where it was registered for, and a process there runs the function behind it.
package signaling

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnsupported is returned for a target that means nobody here.
var ErrUnsupported = errors.New("unsupported signal target")

// The queues that are read by the first process that has time.
const (
	AnyWorker = "worker"
	AnyMule   = "mule"
	Spooler   = "spooler"
)

// Worker names the queue of one worker.
func Worker(n int) string { return "worker " + strconv.Itoa(n) }

// Mule names the queue of one mule.
func Mule(n int) string { return "mule " + strconv.Itoa(n) }

// Farm names the queue of the mules of a farm.
func Farm(name string) string { return "farm " + name }

// Fleet is who there is to be signalled.
type Fleet struct {
	Workers int
	Active  func(worker int) bool // it has a process, and serves
	Mules   int
	Farms   []string // names
	Spooler bool     // there is one
}

// Queues tells which queues a signal for the target goes to; ErrUnsupported if nobody reads there.
func (f Fleet) Queues(target string) ([]string, error) {
	switch target {
	case "", "worker", "worker0":
		return []string{AnyWorker}, nil
	case "workers":
		return f.workers(func(int) bool { return true }), nil
	case "active-workers":
		return f.workers(f.Active), nil
	case "mules":
		return numbered(Mule, f.Mules), nil
	case "mule", "mule0":
		return f.some(f.Mules > 0, AnyMule, target)
	case "spooler":
		return f.some(f.Spooler, Spooler, target)
	}
	if n, ok := numberAfter("worker", target); ok {
		return f.some(n <= f.Workers, Worker(n), target)
	}
	if n, ok := numberAfter("mule", target); ok {
		return f.some(n <= f.Mules, Mule(n), target)
	}
	if name, ok := strings.CutPrefix(target, "farm_"); ok {
		for _, farm := range f.Farms {
			if farm == name {
				return []string{Farm(name)}, nil
			}
		}
	}
	if n, ok := numberAfter("farm", target); ok && n <= len(f.Farms) {
		return []string{Farm(f.Farms[n-1])}, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnsupported, target)
}

func (f Fleet) workers(which func(int) bool) (queues []string) {
	for n := 1; n <= f.Workers; n++ {
		if which(n) {
			queues = append(queues, Worker(n))
		}
	}
	return queues
}

func (f Fleet) some(there bool, queue, target string) ([]string, error) {
	if !there {
		return nil, fmt.Errorf("%w %q", ErrUnsupported, target)
	}
	return []string{queue}, nil
}

func numbered(name func(int) string, count int) (queues []string) {
	for n := 1; n <= count; n++ {
		queues = append(queues, name(n))
	}
	return queues
}

// numberAfter reads the number, from 1, behind a word.
func numberAfter(word, text string) (int, bool) {
	digits, ok := strings.CutPrefix(text, word)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 1 && digits[0] != '+'
}
