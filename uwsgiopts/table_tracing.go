package uwsgiopts

// tracingOptions declares: Tracing.
func tracingOptions() []Option {
	return []Option{
		{Names: []string{"otlp-endpoint"}, Arg: OptionalArg, Flags: StartsMaster | Own, Doc: "export spans of requests and events to the OpenTelemetry collector at this URL, by OTLP over HTTP; without a value to the one that OTEL_EXPORTER_OTLP_ENDPOINT names, or http://localhost:4318", Value: Text.by(setOTLPEndpoint)},
		{Names: []string{"otlp-sample"}, Arg: RequiredArg, Flags: Own, Doc: "record this part of the traces that begin here, 0 to 1 (default: what OTEL_TRACES_SAMPLER says, or 1); what a caller has decided counts", Value: Text.by(setOTLPSample)},
		{Names: []string{"otlp-service"}, Arg: RequiredArg, Flags: Own, Doc: "name of the service in its spans (default: OTEL_SERVICE_NAME, or envoxyd)", Value: text(func(c *Config) *string { return &c.OTLPService })},
		{Names: []string{"otlp-header"}, Arg: RequiredArg, Flags: Own, Doc: "send this header to the collector, NAME=VALUE; may be repeated", Value: List.by(setOTLPHeader)},
	}
}
