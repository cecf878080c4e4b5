package shm

import "testing"

func TestSNMPValuesLieBehindTheMetrics(t *testing.T) {
	file, err := NewMetricsFile()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate((MetricsRoom + 1) * metricSize); err != nil { // as an older master has made it
		t.Fatal(err)
	}
	values, err := OpenSNMPValues(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer values.Close()
	for _, number := range []int{1, 2, SNMPRoom} {
		if kind, value := values.Get(number); kind != 0 || value != 0 {
			t.Errorf("%d is %d %d", number, kind, value)
		}
		values.Set(number, SNMPGauge, 1<<63+uint64(number))
	}
	again, err := OpenSNMPValues(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, number := range []int{1, 2, SNMPRoom} {
		if kind, value := again.Get(number); kind != SNMPGauge || value != 1<<63+uint64(number) {
			t.Errorf("%d is %d %d", number, kind, value)
		}
	}
	metrics, err := OpenMetrics(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Close()
	if metrics.Count() != 0 {
		t.Errorf("there are %d metrics", metrics.Count())
	}
}
