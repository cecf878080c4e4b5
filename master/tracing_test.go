package master

import (
	"testing"

	"envoxyd/internal/tracing"
	"envoxyd/uwsgiopts"
)

func TestSamplersOfTheEnvironment(t *testing.T) {
	given := &uwsgiopts.Config{TracingConfig: uwsgiopts.TracingConfig{OTLPSample: 0.25, OTLPSampled: true}}
	none := &uwsgiopts.Config{}
	for _, c := range []struct {
		cfg      *uwsgiopts.Config
		name     string
		argument string
		want     tracing.Sampler
		fails    bool
	}{
		{none, "", "", tracing.Sampler{Ratio: 1}, false},
		{none, "parentbased_always_on", "", tracing.Sampler{Ratio: 1}, false},
		{none, "parentbased_always_off", "", tracing.Sampler{}, false},
		{none, "always_on", "0.1", tracing.Sampler{Ratio: 1, IgnoreCalls: true}, false},
		{none, "always_off", "", tracing.Sampler{IgnoreCalls: true}, false},
		{none, "traceidratio", "0.1", tracing.Sampler{Ratio: 0.1, IgnoreCalls: true}, false},
		{none, "parentbased_traceidratio", "0.1", tracing.Sampler{Ratio: 0.1}, false},
		{none, "parentbased_traceidratio", "", tracing.Sampler{Ratio: 1}, false},
		{none, "parentbased_traceidratio", "NaN", tracing.Sampler{}, true},
		{none, "traceidratio", "1.1", tracing.Sampler{}, true},
		{none, "jaeger_remote", "", tracing.Sampler{}, true},
		{given, "always_on", "", tracing.Sampler{Ratio: 0.25}, false},
		{given, "jaeger_remote", "x", tracing.Sampler{Ratio: 0.25}, false},
	} {
		got, err := samplerOf(c.cfg, func(name string) string {
			return map[string]string{"OTEL_TRACES_SAMPLER": c.name, "OTEL_TRACES_SAMPLER_ARG": c.argument}[name]
		})
		if (err != nil) != c.fails || err == nil && got != c.want {
			t.Errorf("%s, %s: %+v, %v", c.name, c.argument, got, err)
		}
	}
}
