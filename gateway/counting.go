package gateway

import (
	"os"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
)

// counting is where events are counted: all together, and those of each filter and timer. What gateways before
// this one have counted is there already.
type counting struct {
	tallies *shm.Tallies
	all     *shm.Tally
}

func newCounting(fd int) (*counting, error) {
	tallies, err := shm.OpenTallies(fd)
	if err != nil {
		return nil, err
	}
	c := &counting{tallies: tallies}
	c.all = c.under(gatewayspec.TallyEvents)
	return c, nil
}

// under are the counters of a name. The gateway of the previous executable may count for a while, too.
func (c *counting) under(name string) *shm.Tally { return c.tallies.Of(name, os.Getpid()) }

// totals are all events of all gateways so far.
func (c *counting) totals() (sums [shm.TallyCounters]uint64) {
	c.tallies.Read(gatewayspec.TallyEvents, func(name string, counters [shm.TallyCounters]uint64) {
		for i := range sums {
			if name == "" {
				sums[i] += counters[i]
			}
		}
	})
	return sums
}

// tallies are the counters of an event beside those of all.
type tallies []*shm.Tally

// count adds one to a counter of all events, and of these.
func (c *counting) count(counter int, of tallies) {
	c.all[counter].Add(1)
	of.count(counter)
}

func (t tallies) count(counter int) {
	for _, one := range t {
		one[counter].Add(1)
	}
}

// listened is a subscription that messages are matched with.
type listened struct {
	Subscription
	tally *shm.Tally
}

// receiver is a process that a message is for, or all workers.
type receiver struct {
	owner   int // 0: any worker
	tallies tallies
}
