// Package exporter serves the state of the instance to Prometheus.
package exporter

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/valyala/fasthttp"

	"envoxyd/master/management"
	"envoxyd/master/stats"
)

// path is where Prometheus looks by default.
const path = "/metrics"

// Service answers scrapes with the metrics of the host's snapshots.
func Service(host stats.Host) management.Service {
	e := newExporter(host)
	return management.HTTP("metrics server", nil, map[string]management.Page{"/": index, path: e.answer}, host.Logf)
}

func newExporter(host stats.Host) *exporter {
	e := &exporter{host: host, registry: prometheus.NewRegistry()}
	e.registry.MustRegister(&e.collector, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

func index(_ context.Context, r *fasthttp.RequestCtx) {
	r.SetContentType("text/plain; charset=utf-8")
	r.SetBodyString("The metrics of this envoxyd are at " + path + "\n")
}

type exporter struct {
	host     stats.Host
	registry *prometheus.Registry

	mu        sync.Mutex // one scrape at a time reads what collector has
	collector collector
}

func (e *exporter) answer(ctx context.Context, r *fasthttp.RequestCtx) {
	snapshot := e.host.Ask(ctx)
	if snapshot == nil {
		return // the end has come
	}
	snapshot.Measure(stats.Sizes)
	format := expfmt.Negotiate(map[string][]string{"Accept": {string(r.Request.Header.Peek("Accept"))}})
	text, err := e.encode(snapshot, format)
	if err != nil {
		e.host.Logf("metrics server: %v", err)
		r.Error("the metrics cannot be collected; the log says why\n", fasthttp.StatusInternalServerError)
		return
	}
	head := &r.Response.Header
	head.SetContentType(string(format))
	head.Set("Vary", "Accept-Encoding")
	if r.Request.Header.HasAcceptEncoding("gzip") && !strings.Contains(string(r.Request.Header.Peek("Accept-Encoding")), "gzip;q=0") {
		text = fasthttp.AppendGzipBytesLevel(nil, text, fasthttp.CompressBestSpeed)
		head.SetContentEncoding("gzip")
	}
	r.Response.SetBodyRaw(text)
}

// encode writes the metrics of a snapshot.
func (e *exporter) encode(s *stats.Snapshot, format expfmt.Format) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.collector.snapshot = s
	families, err := e.registry.Gather()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
