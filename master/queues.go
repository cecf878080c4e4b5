package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/signaling"
)

// messageMule sends a message to the mule of this number, or to any mule for 0, as uwsgi.mule_msg does.
func (m *master) messageMule(number string, message []byte) error {
	name := signaling.AnyMule
	if n, err := strconv.Atoi(number); err != nil {
		return fmt.Errorf("%q is not the number of a mule", number)
	} else if n > 0 {
		name = signaling.Mule(n)
	}
	_, in, err := m.owned.kept.Pipe(messagesOf+name, m.cfg.MuleMsgSize)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(int(in.Fd()), message, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	return nil
}

// messagesOf begins the names of the queues of messages.
const messagesOf = "messages of "

// addQueues has zygote and workers inherit the queues of signals and messages, and the lines of mules and spoolers.
func (g *generation) addQueues(i *inheritance, spec *workerspec.Spec) (err error) {
	cfg, kept := g.cfg, g.m.owned.kept
	queue := func(names ...string) (numbers []int) {
		for _, name := range names {
			out, _, failed := g.m.queues.pipe(name)
			if failed != nil {
				err = errors.Join(err, failed)
				return numbers
			}
			numbers = append(numbers, i.add(out.Fd()))
		}
		return numbers
	}
	pipe := func(name string) workerspec.Pipe {
		out, in, failed := kept.Pipe(messagesOf+name, cfg.MuleMsgSize)
		if failed != nil {
			err = errors.Join(err, failed)
			return workerspec.Pipe{Out: -1, In: -1}
		}
		return workerspec.Pipe{Out: i.add(out.Fd()), In: i.add(in.Fd())}
	}
	deaths, failed := kept.Bell("deaths of workers")
	if failed != nil {
		return failed
	}
	spec.DeathsFD = i.add(deaths.Fd())
	g.m.owned.deaths = deaths
	spec.Signals.Workers = queue(signaling.AnyWorker)
	for n := 1; n <= cfg.Processes; n++ {
		spec.Signals.Workers = append(spec.Signals.Workers, queue(signaling.Worker(n))...)
	}
	if len(cfg.Mules) > 0 {
		spec.Mules.Shared = pipe(signaling.AnyMule)
		spec.Signals.Mules = queue(signaling.AnyMule)
	}
	for n, mule := range cfg.Mules {
		spec.Mules.List = append(spec.Mules.List, workerspec.Mule{Runs: mule.Runs, Queue: pipe(signaling.Mule(n + 1))})
		spec.Signals.Mules = append(spec.Signals.Mules, queue(signaling.Mule(n+1))...)
	}
	for _, farm := range cfg.Farms {
		spec.Mules.Farms = append(spec.Mules.Farms, workerspec.Farm{Name: farm.Name, Mules: farm.Mules, Queue: pipe(signaling.Farm(farm.Name))})
		spec.Signals.Farms = append(spec.Signals.Farms, queue(signaling.Farm(farm.Name))...)
	}
	for n := range spec.Spoolers {
		bell, failed := kept.Bell("jobs in " + spec.Spoolers[n].Dir)
		if failed != nil {
			return failed
		}
		spec.Spoolers[n].WakeFD = i.add(bell.Fd())
	}
	if len(spec.Spoolers) > 0 {
		spec.Signals.Spooler = queue(signaling.Spooler)[0]
	}
	if g.m.metrics != nil && (metricsWanted(cfg) || cfg.SNMP) {
		memory, failed := kept.Memory(metricsMemory, shm.NewMetricsFile)
		if failed != nil {
			return failed
		}
		if metricsWanted(cfg) {
			spec.MetricsFD = i.add(memory.Fd())
		}
		if cfg.SNMP {
			spec.SNMPFD = i.add(memory.Fd())
		}
	}
	spec.AuxiliaryFD = i.add(g.lines.File().Fd())
	if err != nil {
		return fmt.Errorf("queues of signals and messages: %w", err)
	}
	return nil
}
