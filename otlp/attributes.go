package otlp

import (
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

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

// spanName is the name of a span, as the semantic conventions have it: that of a request is its method.
func spanName(span *tracing.Span) string {
	for key, value := range span.Attributes {
		if key == tracing.Method {
			if known := slices.Index(methods, string(value)); known >= 0 {
				return methods[known]
			}
			return "HTTP"
		}
	}
	return strings.ToValidUTF8(string(span.Name), "\ufffd")
}

// describeSpan is the attributes of a span, as the semantic conventions have them.
func describeSpan(span *tracing.Span) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, usual)
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
			list = append(list, semconv.HTTPRequestMethodKey.String(text))
		case key == tracing.Method:
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
	return list
}
