package statuspage

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

// clockTick is the unit of processor time in /proc (proc(5)): the kernel reports it in hundredths of a second on
// every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// processors tells how busy processes keep the machine's processors.
type processors struct {
	mu     sync.Mutex
	before map[int]usage // by pid
}

// usage is the processor time that a process has used up to a moment.
type usage struct {
	at   time.Time
	used time.Duration
}

// shares are the parts of a processor that the processes have used since they were asked for last, 1 for a whole one.
// Processes that were not there then, or are not now, are missing.
func (p *processors) shares(pids []int) map[int]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, found := map[int]usage{}, map[int]float64{}
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		one := usage{time.Now(), processorTime(text)}
		now[pid] = one
		before, known := p.before[pid]
		if passed := one.at.Sub(before.at); known && passed > 0 && passed < time.Minute && one.used >= before.used {
			found[pid] = (one.used - before.used).Seconds() / passed.Seconds()
		}
	}
	p.before = now
	return found
}

// processorTime reads the time in user and kernel mode of /proc/PID/stat.
func processorTime(stat []byte) time.Duration {
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	const user, kernel = 14 - 3, 15 - 3 // proc(5) counts from 1, and the third one is the first behind the name
	if len(fields) <= kernel {
		return 0
	}
	var ticks int64
	for _, field := range [][]byte{fields[user], fields[kernel]} {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
