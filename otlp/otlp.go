// Package otlp exports spans to an OpenTelemetry collector. It runs in a process of its own: workers send it records of their
// spans (envoxyd/internal/tracing), so that none of them has the SDK in its memory, and no request waits for a collector.
package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"envoxyd/internal/tracing"
)

// defaultService is the service.name where neither the options nor the environment say one.
const defaultService = "envoxyd"

// Run exports spans until the master says that there are no more, or is gone.
func Run(spec *tracing.Spec) error {
	runtime.GOMAXPROCS(1) // what goroutines of this process pass to each other would be passed between processors, and waited for there
	// The master says what is to be done.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP)
	out := &log{to: os.Stderr}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { out.writef("OTLP: %v", err) }))
	e, err := newExporter(spec, out)
	if err != nil {
		return fmt.Errorf("envoxyd-otlp: %w", err)
	}
	if err := e.serve(spec); err != nil {
		return fmt.Errorf("envoxyd-otlp: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(spec.StopMillis)*time.Millisecond)
	defer cancel()
	e.close(ctx)
	return nil
}

// newExporter makes the SDK's parts.
func newExporter(spec *tracing.Spec, out *log) (*exporter, error) {
	to := []otlptracehttp.Option{}
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://localhost:4318")
	if spec.Endpoint != "" {
		at, err := tracesURL(spec.Endpoint)
		if err != nil {
			return nil, err
		}
		endpoint = at
		to = append(to, otlptracehttp.WithEndpointURL(at))
	}
	if len(spec.Headers) > 0 {
		to = append(to, otlptracehttp.WithHeaders(spec.Headers))
	}
	ctx := context.Background()
	client, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	about, err := describe(ctx, spec)
	if err != nil {
		return nil, err
	}
	options, queue := batching(os.Getenv)
	e := &exporter{log: out, endpoint: endpoint, queue: queue, limits: sdk.NewSpanLimits()}
	e.processor = sdk.NewBatchSpanProcessor(&watched{SpanExporter: client, e: e}, options...)
	provider := sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithResource(about)) // the senders have decided what is sampled
	e.pattern = pattern(provider.Tracer("envoxyd", trace.WithInstrumentationVersion(spec.Version)))
	return e, nil
}

// tracesURL is where spans are posted to, of a collector's base URL or of the whole one.
func tracesURL(endpoint string) (string, error) {
	const path = "/v1/traces"
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("endpoint: %w", err)
	}
	if !strings.HasSuffix(u.Path, path) {
		u.Path = strings.TrimSuffix(u.Path, "/") + path
	}
	return u.String(), nil
}

// describe is what is said of the instance: of the options, before the environment.
func describe(ctx context.Context, spec *tracing.Spec) (*resource.Resource, error) {
	about, err := resource.New(ctx, resource.WithHost(), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(defaultService), semconv.ServiceInstanceID(spec.Instance)), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("resource: %w", err)
	}
	if spec.Service == "" {
		return about, nil
	}
	return resource.Merge(about, resource.NewSchemaless(semconv.ServiceName(spec.Service)))
}

// serve exports what comes until the master ends it.
func (e *exporter) serve(spec *tracing.Spec) error {
	in := &intake{control: spec.ControlFD, spans: spec.SpansFD, record: make([]byte, tracing.MaxRecord), take: e.take}
	return in.run()
}
