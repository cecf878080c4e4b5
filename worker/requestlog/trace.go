package requestlog

// The field traceparent of W3C Trace Context: 2 digits of version, 32 of the trace, 16 of the
// parent, 2 of flags, all hexadecimal, with hyphens between.
const (
	traceAt, traceEnd   = 3, 35
	parentAt, parentEnd = 36, 52
	traceparentSize     = 55
)

// traceOf takes the trace and the parent out of a traceparent; nil: it is none.
func traceOf(field []byte) (trace, parent []byte) {
	if len(field) < traceparentSize || string(field[:2]) == "ff" ||
		len(field) > traceparentSize && (string(field[:2]) == "00" || field[traceparentSize] != '-') {
		return nil, nil
	}
	for i, c := range field[:traceparentSize] {
		switch {
		case i == traceAt-1 || i == traceEnd || i == parentEnd:
			if c != '-' {
				return nil, nil
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return nil, nil
		}
	}
	trace, parent = field[traceAt:traceEnd], field[parentAt:parentEnd]
	if zeros(trace) || zeros(parent) {
		return nil, nil
	}
	return trace, parent
}

func zeros(digits []byte) bool {
	for _, c := range digits {
		if c != '0' {
			return false
		}
	}
	return true
}
