package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"envoxyd/uwsgiopts"
)

// Pushers send statistics to whoever --stats-push, --carbon and --rrdtool name. The zero value sends
// nothing. Its methods are called by the goroutine that owns the state.
type Pushers struct{ all []*pusher }

// PushSettings are what a configuration says about pushing.
type PushSettings struct {
	uwsgiopts.PushConfig
	Dir    string   // what names of files relate to
	JSON   JSONForm // of the document in a file; it is always minified
	Socket string   // name of the first socket that workers serve; "": there is none

	Processes Processes // for rrdtool
	NoCores   bool      // metrics of single cores are not collected
}

// pusher is one destination. While busy it is its sender's, else the owner of the state's.
type pusher struct {
	uwsgiopts.Push
	settings *PushSettings
	carbon   *carbon // nil: it is no Carbon server
	timeout  time.Duration
	retries  int           // after a failure
	delay    time.Duration // before each of them

	before map[string]int64 // counters as statsd knows them
	busy   bool
	failed int // times in a row
	next   time.Time
}

// pushTimeout bounds one message to anybody but a Carbon server.
const pushTimeout = 3 * time.Second

// rrdTimeout bounds one run of rrdtool, which writes a file for each metric.
const rrdTimeout = 30 * time.Second

// Replace sends to these destinations from now on.
func (p *Pushers) Replace(s PushSettings) {
	s.JSON.Minified = true
	p.all = nil
	for _, push := range s.Pushes {
		if push.Every == 0 {
			push.Every = s.PushEvery
		}
		p.all = append(p.all, &pusher{Push: push, settings: &s, timeout: pushTimeout, before: map[string]int64{}})
	}
	for _, dir := range s.RRDTool {
		p.all = append(p.all, &pusher{Push: uwsgiopts.Push{Kind: "rrdtool", Address: dir, Every: s.RRDEvery}, settings: &s, timeout: rrdTimeout})
	}
	for _, address := range s.Carbon {
		p.all = append(p.all, &pusher{
			Push: uwsgiopts.Push{Kind: "carbon", Address: address, Every: s.CarbonEvery}, settings: &s,
			timeout: s.CarbonTimeout, retries: s.CarbonMaxRetry, delay: s.CarbonRetryDelay, carbon: newCarbon(&s.PushConfig, s.Socket),
		})
	}
}

// Poll sends to everybody whose time has come and who has got the last message.
func (p *Pushers) Poll(host Host, now time.Time) {
	for _, one := range p.all {
		if one.busy || now.Before(one.next) {
			continue
		}
		one.busy, one.next = true, now.Add(max(one.Every, time.Second))
		snapshot := host.Snapshot()
		host.Beside(func(ctx context.Context) (then func()) {
			snapshot.Measure(Sizes) // these belong to the numbers that are sent
			err := one.send(ctx, snapshot, now)
			return func() { one.sent(host, err) }
		})
	}
}

// sent notes how a message fared.
func (p *pusher) sent(host Host, err error) {
	p.busy = false
	if err == nil {
		p.failed = 0
		return
	}
	host.Logf("unable to send statistics to %s %s: %v", p.Kind, p.Address, err)
	if p.failed++; p.failed <= p.retries {
		p.next = time.Now().Add(p.delay)
	} else {
		p.failed = 0
	}
}

func (p *pusher) send(ctx context.Context, s *Snapshot, now time.Time) error {
	switch p.Kind {
	case "file":
		return p.toFile(s)
	case "rrdtool":
		return p.toRRD(ctx, s.Metrics(MetricsDetail{Workers: true, Cores: !p.settings.NoCores}))
	case "zabbix":
		return p.toZabbix(ctx, s.Metrics(MetricsDetail{Workers: true, Cores: !p.settings.NoCores}))
	case "carbon":
		return p.write(ctx, "tcp", []string{p.carbon.text(s, now.Unix())})
	case "statsd":
		return p.write(ctx, "udp", statsdText(p.Prefix, s.Metrics(MetricsDetail{Workers: !p.settings.StatsdNoWorkers}), p.settings.StatsdAllGauges, p.before))
	}
	return p.write(ctx, "udp", plainText(p.Prefix, s.Metrics(MetricsDetail{Workers: true})))
}

// write connects and sends; the name is looked up each time.
func (p *pusher) write(ctx context.Context, network string, messages []string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, p.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	for _, message := range messages {
		if _, err := conn.Write([]byte(message)); err != nil {
			return err
		}
	}
	return nil
}

// toFile appends the JSON document to a file.
func (p *pusher) toFile(s *Snapshot) error {
	var text bytes.Buffer
	if err := s.WriteJSON(&text, p.settings.JSON); err != nil {
		return err
	}
	path := p.Address
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.settings.Dir, path)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("stats-push: %w", err)
	}
	_, err = fmt.Fprintf(file, "%s%s", bytes.TrimSuffix(text.Bytes(), []byte("\n")), p.End)
	return errors.Join(err, file.Close())
}
