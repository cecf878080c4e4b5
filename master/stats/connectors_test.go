package stats

import (
	"reflect"
	"testing"
	"time"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/monotime"
)

func TestConnectorsAreSortedAndForgottenWhenNobodyLooks(t *testing.T) {
	now := float64(monotime.Now()) / 1e9
	s := &Snapshot{}
	s.ReadConnectors(&gatewayspec.Health{
		Every: 10,
		Connectors: map[string]gatewayspec.Condition{
			"redis.b":     {Status: gatewayspec.Down, Checked: now - 34, Since: 1_700_000_000.25, Millis: 1.5, Error: "refused"},
			"mqtt.broker": {Status: gatewayspec.Up, Checked: now - 36},
		},
	})
	if len(s.Connectors) != 2 {
		t.Fatalf("%+v", s.Connectors)
	}
	if lost := s.Connectors[0]; lost.Name != "mqtt.broker" || lost.Status != gatewayspec.Unknown {
		t.Errorf("nobody has looked for 36 s: %+v", lost)
	}
	down := s.Connectors[1]
	if age := time.Since(down.Checked); age < 33*time.Second || age > 40*time.Second {
		t.Errorf("looked at %v ago", age)
	}
	down.Checked = time.Time{}
	if want := (Connector{Name: "redis.b", Status: gatewayspec.Down, Problem: "refused", Since: time.UnixMilli(1_700_000_000_250),
		Took: 1500 * time.Microsecond}); !reflect.DeepEqual(down, want) {
		t.Errorf("%+v, want %+v", down, want)
	}
}
