package worker

import (
	"testing"

	"envoxyd/internal/tracing"
	"envoxyd/protocol/uwsgi"
)

// BenchmarkNotSampled is what Go does for each request that is not recorded.
func BenchmarkNotSampled(b *testing.B) {
	w := &Worker{tracer: &tracer{sampler: tracing.Sampler{Ratio: 0}}}
	s := &slot{parser: parser{w: w, vars: make([]byte, 4096)}, input: make([]byte, 4096)}
	s.traced = &traced{ids: tracing.NewSource(), vars: make([]byte, 4096)}
	cn := &conn{listener: &listener{}}
	for _, name := range []string{"HTTP", "a header"} {
		vars := s.vars[:0]
		for range 12 {
			vars = uwsgi.AppendVar(vars, "HTTP_SOMETHING", "a value of usual length")
		}
		p := &parsed{}
		s.request.traceparent = nil
		if name == "a header" {
			vars = uwsgi.AppendVar(vars, varTraceparent, caller)
			s.request.traceparent = vars[len(vars)-tracing.Size:]
			s.request.traceparent[tracing.Size-1] = '0' // its caller does not record it
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Vars = vars
				s.trace(cn, p)
			}
		})
	}
}
