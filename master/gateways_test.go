package master

import "testing"

func TestAllGatewaysAreWaitedFor(t *testing.T) {
	all := newGateways(nil)
	var done []func(*master)
	then := 0
	all.join(func(*master) { then++ }, func(_ *gateway, d func(*master)) { done = append(done, d) })
	if len(done) != 2 {
		t.Fatalf("%d of 2 have begun", len(done))
	}
	done[1](nil)
	if then != 0 {
		t.Error("the first one was not waited for")
	}
	done[0](nil)
	if then != 1 {
		t.Errorf("it went on %d times", then)
	}
}

func TestGatewaysHaveNothingInCommonThatIsPassedOn(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range newGateways(nil) {
		for _, name := range []string{g.program, g.title, g.report, g.stateKey(), g.livingKey()} {
			if seen[name] {
				t.Errorf("%q is two gateways'", name)
			}
			seen[name] = true
		}
	}
	if !seen["gateway:state"] || !seen["gateway:living"] {
		t.Error("earlier executables would not find their gateway's")
	}
}
