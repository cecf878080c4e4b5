package tracing

import "testing"

// BenchmarkNotSampled is what each request costs that is not recorded: the decision, new ids, and the text that the application sees.
func BenchmarkNotSampled(b *testing.B) {
	sampler, ids := Sampler{Ratio: 0}, NewSource()
	var c, none Context
	var text [Size]byte
	b.ReportAllocs()
	for b.Loop() {
		sampler.Begin(&c, &none, &ids)
		ids.Put(&c, &text)
	}
}

// BenchmarkCalled is the same for a request of a caller that has a context.
func BenchmarkCalled(b *testing.B) {
	header := []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	sampler, ids := Sampler{Ratio: 0}, NewSource()
	var c Context
	var text [Size]byte
	b.ReportAllocs()
	for b.Loop() {
		parent, _ := Parse(header)
		sampler.Begin(&c, &parent, &ids)
		c.Put(&text)
	}
}
