package uwsgiopts

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Cron is a command that runs by the clock, in local time.
type Cron struct {
	// When holds minute, hour, day, month and weekday (0 and 7 are Sunday): -1 is any, -N every N.
	When     [5]int
	Command  string
	URL      bool          // Command is one, to be fetched
	Unique   bool          // not while the last run lasts
	Harakiri time.Duration // 0: none; negative: as --cron-harakiri says
}

// cron reads MINUTE HOUR DAY MONTH WEEKDAY COMMAND.
func cron(unique bool) effect { return timed(Cron{Unique: unique, Harakiri: -1}) }

// curlCron reads MINUTE HOUR DAY MONTH WEEKDAY URL.
func curlCron() effect { return timed(Cron{URL: true, Harakiri: -1}) }

func timed(job Cron) effect {
	return List.by(func(c *Config, g given) error {
		job := job
		rest := strings.TrimSpace(g.text)
		for i := range job.When {
			word, more, _ := strings.Cut(rest, " ")
			n, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("option %q: %q is not MINUTE HOUR DAY MONTH WEEKDAY COMMAND", g.name, g.text)
			}
			job.When[i], rest = n, strings.TrimLeft(more, " ")
		}
		job.Command = rest
		return addCron(c, g, job)
	})
}

// setCron2 reads KEY=VALUE,KEY=VALUE COMMAND; without any key all is the command.
func setCron2(c *Config, g given) error {
	job := Cron{When: [5]int{-1, -1, -1, -1, -1}, Harakiri: -1, Command: g.text}
	keys, command, _ := strings.Cut(g.text, " ")
	if strings.Contains(keys, "=") {
		job.Command = strings.TrimSpace(command)
		for part := range strings.SplitSeq(keys, ",") {
			if err := job.set(part); err != nil {
				return fmt.Errorf("option %q: %w", g.name, err)
			}
		}
	}
	return addCron(c, g, job)
}

func (job *Cron) set(part string) error {
	key, value, _ := strings.Cut(part, "=")
	place := map[string]int{"minute": 0, "hour": 1, "day": 2, "month": 3, "week": 4}
	at, isTime := place[key]
	if !isTime && key != "unique" && key != "harakiri" {
		return fmt.Errorf("unknown key %q", key)
	}
	if value == "" {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	switch {
	case isTime:
		job.When[at] = n
	case key == "unique":
		job.Unique = n != 0
	default:
		job.Harakiri = time.Duration(max(n, 0)) * time.Second
	}
	return nil
}

func addCron(c *Config, g given, job Cron) error {
	if job.Command == "" {
		return fmt.Errorf("option %q: %q has no command", g.name, g.text)
	}
	c.Crons = append(c.Crons, job)
	return nil
}

// Due tells whether the job is to run in the minute that now is in.
func (job *Cron) Due(now time.Time) bool {
	weekday := int(now.Weekday())
	for i, have := range [5]int{now.Minute(), now.Hour(), now.Day(), int(now.Month()), weekday} {
		want := job.When[i]
		if i == 4 && want == 7 {
			want = 0
		}
		if want >= 0 && want != have || want < -1 && have%-want != 0 {
			return false
		}
	}
	return true
}
