package master

import (
	"strings"
	"time"
)

// fifoWords are what the master-fifo's bytes are for, but those for one of several pipes.
const fifoWords = "+ - (workers), c (chain reload), C (go cheap), l (log reopen), L (log rotate), p (pause), P (pidfiles), q (graceful stop), Q (stop), " +
	"r (reload), R (brutal reload), s (statistics), S (subscriptions), w (workers' reload), W (brutal workers' reload), 0 to 9 (another master-fifo)"

// fifoForWorkers are the commands that need workers which serve.
const fifoForWorkers = "+-CcpwW"

// fifoRefusals are uWSGI's other commands, and what there is in their place.
var fifoRefusals = map[byte]string{
	'B': "an instance asks no emperor for reinforcements; let cheaper add workers",
	'E': "an emperor sees by itself what changes in its directories, and looks every emperor-freq seconds",
	'f': "a second master beside the first one would serve without being looked after; r loads configuration and code, SIGUSR2 the executable too",
}

// command carries out one byte: a digit chooses among pipes. Blanks and line ends, which echo writes, are no commands;
// what is none otherwise is told.
func (m *master) command(b byte) {
	if m.current == nil && strings.IndexByte(fifoForWorkers, b) >= 0 {
		logf("master-fifo: command %c does nothing: there are no workers that serve", b)
		return
	}
	switch b {
	case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		m.triggers.fifo.choose(m, int(b-'0'))
	case '+':
		m.changeWorkers(1)
	case '-':
		m.changeWorkers(-1)
	case 'C':
		m.goCheap()
	case 'c':
		m.chainReload()
	case 'l':
		m.logs.reopen(m.cfg)
	case 'L':
		m.logs.rotate()
	case 'p':
		m.togglePause()
	case 'P':
		m.owned.pidfiles.rewrite()
	case 'q':
		m.stopGracefully()
	case 'Q':
		m.stop()
	case 'r':
		m.reload(false)
	case 'R':
		m.reload(true)
	case 's':
		m.logTotals()
	case 'S':
		m.toggleSubscriptions()
	case 'w':
		m.reloadWorkers(false)
	case 'W':
		m.reloadWorkers(true)
	case ' ', '\t', '\r', '\n':
	default:
		m.refuseCommand(b)
	}
}

// refuseCommand says that a byte does nothing. What is no text at all gets one line in a second.
func (m *master) refuseCommand(b byte) {
	if reason := fifoRefusals[b]; reason != "" {
		logf("master-fifo: command %c is not there: %s", b, reason)
		return
	}
	if now := time.Now(); now.Sub(m.triggers.fifo.told) >= time.Second {
		m.triggers.fifo.told = now
		logf("master-fifo: %q is no command; there are %s", b, fifoWords)
	}
}
