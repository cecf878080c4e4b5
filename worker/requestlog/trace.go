package requestlog

import "envoxyd/internal/tracing"

// traceOf takes the trace and the parent out of a traceparent; nil: it is none.
func traceOf(field []byte) (trace, parent []byte) {
	if _, ok := tracing.Parse(field); !ok {
		return nil, nil
	}
	return field[3:35], field[36:52]
}
