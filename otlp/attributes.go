package otlp

import (
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"envoxyd/internal/tracing"
)

// The attributes of envoxyd's own.
const (
	workerKey = attribute.Key("envoxyd.worker")
	queueKey  = attribute.Key("envoxyd.queue_time") // microseconds
)

// texts and numbers have the keys of attributes whose values are texts, and numbers.
var texts = [256]attribute.Key{
	tracing.Path:            semconv.URLPathKey,
	tracing.Scheme:          semconv.URLSchemeKey,
	tracing.ServerAddress:   semconv.ServerAddressKey,
	tracing.ClientAddress:   semconv.ClientAddressKey,
	tracing.UserAgent:       semconv.UserAgentOriginalKey,
	tracing.ErrorType:       semconv.ErrorTypeKey,
	tracing.MessagingTopic:  semconv.MessagingDestinationNameKey,
	tracing.MessagingServer: attribute.Key("envoxyd.mqtt_server"),
}

var numbers = [256]attribute.Key{
	tracing.ServerPort:  semconv.ServerPortKey,
	tracing.StatusCode:  semconv.HTTPResponseStatusCodeKey,
	tracing.WorkerID:    workerKey,
	tracing.QueueMicros: queueKey,
}

// usual is how many attributes a span has, or some more.
const usual = 14

// methods are those that telemetry knows by name; others are _OTHER, so that clients cannot make up any number of them.
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}

// describeSpan is the name of a span and its attributes, as the semantic conventions have them.
func describeSpan(span *tracing.Span) (name string, list []attribute.KeyValue) {
	name, list = string(span.Name), make([]attribute.KeyValue, 0, usual)
	for key, value := range span.Attributes {
		text := strings.ToValidUTF8(string(value), "\ufffd")
		switch {
		case texts[key] != "":
			list = append(list, texts[key].String(text))
		case numbers[key] != "":
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				list = append(list, numbers[key].Int64(n))
			}
		case key == tracing.Method && slices.Contains(methods, text):
			name = text
			list = append(list, semconv.HTTPRequestMethodKey.String(text))
		case key == tracing.Method:
			name = "HTTP"
			list = append(list, semconv.HTTPRequestMethodOther, semconv.HTTPRequestMethodOriginal(text))
		case key == tracing.Protocol:
			protocol, version, _ := strings.Cut(text, "/")
			list = append(list, semconv.NetworkProtocolName(strings.ToLower(protocol)))
			if major, ok := strings.CutSuffix(version, ".0"); ok && major != "1" { // HTTP has no minor version any more
				version = major
			}
			if version != "" {
				list = append(list, semconv.NetworkProtocolVersion(version))
			}
		}
	}
	if span.Kind == tracing.Consumer {
		list = append(list, semconv.MessagingSystemKey.String("mqtt"), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"))
	}
	return strings.ToValidUTF8(name, "\ufffd"), list
}

func setStatus(made trace.Span, span *tracing.Span) {
	if span.Failed {
		made.SetStatus(codes.Error, "")
	}
}
