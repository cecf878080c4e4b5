package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"envoxyd/uwsgiopts"
)

// pushers send statistics to whoever --stats-push and --carbon name.
type pushers []*pusher

// pusher is one destination. While busy it is its sender's, else the owner of the state's.
type pusher struct {
	uwsgiopts.Push
	carbon  *carbonForm // nil: it is no Carbon server
	timeout time.Duration
	retries int           // after a failure
	delay   time.Duration // before each of them

	cfg    *uwsgiopts.Config
	before map[string]uint64 // counters as statsd knows them
	busy   bool
	failed int // times in a row
	next   time.Time
}

// pushTimeout bounds one message to anybody but a Carbon server.
const pushTimeout = 3 * time.Second

// follow takes the destinations of cfg.
func (p *pushers) follow(m *master, cfg *uwsgiopts.Config) {
	*p = nil
	for _, push := range cfg.Pushes {
		if push.Every == 0 {
			push.Every = cfg.PushEvery
		}
		*p = append(*p, &pusher{Push: push, timeout: pushTimeout, cfg: cfg, before: map[string]uint64{}})
	}
	for _, address := range cfg.Carbon {
		*p = append(*p, &pusher{
			Push: uwsgiopts.Push{Kind: "carbon", Address: address, Every: cfg.CarbonEvery}, timeout: cfg.CarbonTimeout,
			retries: cfg.CarbonMaxRetry, delay: cfg.CarbonRetryDelay, cfg: cfg, carbon: m.carbonForm(cfg),
		})
	}
}

func (m *master) carbonForm(cfg *uwsgiopts.Config) *carbonForm {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if cfg.CarbonHostnameDots != "" {
		host = strings.ReplaceAll(host, ".", cfg.CarbonHostnameDots)
	}
	id := cfg.CarbonID
	for _, s := range m.sockets {
		if id == "" && s.ForWorkers() {
			id = strings.ReplaceAll(s.Name, ".", "_")
		}
	}
	root := cfg.CarbonRoot
	if root != "" && !strings.HasSuffix(root, ".") {
		root += "."
	}
	return &carbonForm{head: root + host + "." + id + ".", workers: !cfg.CarbonNoWorkers, metrics: cfg.CarbonUseMetrics, idle: cfg.CarbonIdleAvg}
}

// look sends to everybody whose time has come and who has got the last message.
func (p pushers) look(m *master, now time.Time) {
	for _, one := range p {
		if one.busy || now.Before(one.next) {
			continue
		}
		one.busy, one.next = true, now.Add(max(one.Every, time.Second))
		document := m.statistics()
		document.memory = max(document.memory, 1) // memory belongs to the numbers that are sent
		m.commands.running.Go(func() {
			document.measure()
			err := one.send(m.commands.ctx, document, now)
			select {
			case m.events <- func(*master) { one.sent(err) }:
			case <-m.commands.ctx.Done():
			}
		})
	}
}

// sent notes how a message fared.
func (p *pusher) sent(err error) {
	p.busy = false
	if err == nil {
		p.failed = 0
		return
	}
	logf("unable to send statistics to %s %s: %v", p.Kind, p.Address, err)
	if p.failed++; p.failed <= p.retries {
		p.next = time.Now().Add(p.delay)
	} else {
		p.failed = 0
	}
}

func (p *pusher) send(ctx context.Context, d *statsDocument, now time.Time) error {
	switch p.Kind {
	case "file":
		return p.toFile(d)
	case "carbon":
		return p.write(ctx, "tcp", []string{p.carbon.text(d, now.Unix())})
	case "statsd":
		return p.write(ctx, "udp", statsdText(p.Prefix, d.metrics(!p.cfg.StatsdNoWorkers), p.cfg.StatsdAllGauges, p.before))
	}
	return p.write(ctx, "udp", plainText(p.Prefix, d.metrics(true)))
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

func (p *pusher) toFile(d *statsDocument) error {
	text, err := d.text(statsForm{minified: true})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(absolute(workDir(p.cfg), p.Address), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("stats-push: %w", err)
	}
	_, err = fmt.Fprintf(file, "%s%s", strings.TrimSuffix(string(text), "\n"), p.End)
	return errors.Join(err, file.Close())
}
