package master

import (
	"context"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/httpget"
	"envoxyd/uwsgiopts"
)

// crons are the jobs of --cron and its kin.
type crons []*cronJob

// cronJob is one job; runs of it may overlap unless it is unique.
type cronJob struct {
	uwsgiopts.Cron
	last    time.Time // when a run was begun
	pid     int       // of the last run; -1: it has ended
	running int
}

// reconfigure takes the jobs of cfg; those that were there before keep their times.
func (c *crons) reconfigure(cfg *uwsgiopts.Config) {
	var all crons
	for _, spec := range cfg.Crons {
		same := func(job *cronJob) bool { return job.Cron == spec && !slices.Contains(all, job) }
		if at := slices.IndexFunc(*c, same); at >= 0 {
			all = append(all, (*c)[at])
		} else {
			all = append(all, &cronJob{Cron: spec, pid: -1})
		}
	}
	*c = all
}

// smallStep is the most that a clock is set back by to correct it: what has run already does not run again.
const smallStep = 5 // minutes

// take tells whether the job is to run now, and if so notes that it has: once in each minute of
// the clock, however little or much after the minute's begin we look.
func (job *cronJob) take(now time.Time) bool {
	back := job.last.Unix()/60 - now.Unix()/60
	if 0 <= back && back < smallStep || job.Unique && job.running > 0 || !job.Due(now) {
		return false
	}
	job.last = now
	return true
}

// runCrons starts what is due.
func (m *master) runCrons(now time.Time) {
	for _, job := range m.jobs.crons {
		if job.take(now) {
			job.run(m.commands, m.events, appDir(m.hooks, m.cfg), m.cfg.CronHarakiri)
		}
	}
}

// run starts the job in dir; limit is the time that it has where it says nothing of that itself.
func (job *cronJob) run(c *commands, events chan<- event, dir string, limit time.Duration) {
	if job.URL {
		job.fetch(c, events, limit)
		return
	}
	if job.Harakiri >= 0 {
		limit = job.Harakiri
	}
	cmd := c.shell(c.ctx, job.Command, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it has started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := c.start(cmd); err != nil {
		logf("[uwsgi-cron] %q: %v", job.Command, err)
		return
	}
	pid, began := cmd.Process.Pid, time.Now()
	job.pid = pid
	job.running++
	logDated("[uwsgi-cron] running %q (pid %d)", job.Command, pid)
	c.running.Go(func() {
		if limit > 0 {
			harakiri := time.AfterFunc(limit, func() {
				logf("*** CRON HARAKIRI ON %q (pid: %d) ***", job.Command, pid)
				_ = cmd.Cancel() // it may have ended
			})
			defer harakiri.Stop()
		}
		_ = c.wait(cmd) // its status is nobody's business
		logDated("[uwsgi-cron] command %q running with pid %d exited after %d second(s)", job.Command, pid, int(time.Since(began).Seconds()))
		select {
		case events <- func(*master) { job.ended(pid) }:
		case <-c.ctx.Done():
		}
	})
}

// fetchLimit is the time that a server has to answer where nothing else is said.
const fetchLimit = time.Minute

// fetch asks for the job's URL; only what goes wrong is told.
func (job *cronJob) fetch(c *commands, events chan<- event, limit time.Duration) {
	if limit <= 0 {
		limit = fetchLimit
	}
	job.running++
	c.running.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, limit)
		defer cancel()
		reply, err := httpget.Get(ctx, httpget.Request{URL: job.Command, UserAgent: "uWSGI"})
		switch {
		case err != nil:
			logDated("[uwsgi-curl-cron] error on url %s: %v", job.Command, err)
		case reply.Status/100 > 3:
			logDated("[uwsgi-curl-cron] error on url %s: %s", job.Command, reply.Text())
		}
		select {
		case events <- func(*master) { job.running-- }:
		case <-c.ctx.Done():
		}
	})
}

func (job *cronJob) ended(pid int) {
	job.running--
	if job.pid == pid {
		job.pid = -1
	}
}
