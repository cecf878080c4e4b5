package tracing

// Spec is the document that the exporting process is started with. All descriptors in it are inherited.
type Spec struct {
	ControlFD int `json:"control_fd"` // a socket to the master: its end, or any word, ends the process
	SpansFD   int `json:"spans_fd"`   // where records come out; it never waits

	Endpoint   string            `json:"endpoint"`    // the URL that spans are posted to; "": what the environment says
	Service    string            `json:"service"`     // service.name; "": what the environment says
	Headers    map[string]string `json:"headers"`     // of requests to the collector
	Version    string            `json:"version"`     // of envoxyd
	LogDate    string            `json:"log_date"`    // --log-date
	Instance   string            `json:"instance"`    // service.instance.id
	StopMillis int               `json:"stop_millis"` // for what is to be exported at the end
}
