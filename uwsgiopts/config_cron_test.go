package uwsgiopts

import (
	"testing"
	"time"
)

func TestCronIsDue(t *testing.T) {
	now := time.Date(2024, time.March, 10, 12, 30, 5, 0, time.UTC) // a Sunday
	for _, test := range []struct {
		option, text string
		want         bool
	}{
		{"cron", "-1 -1 -1 -1 -1 true", true},
		{"cron", "30 12 10 3 0 true", true},
		{"cron", "30 12 10 3 7 echo a  b", true},
		{"cron", "31 -1 -1 -1 -1 true", false},
		{"cron", "-15 -2 -1 -1 -1 true", true},
		{"cron", "-7 -1 -1 -1 -1 true", false},
		{"cron", "-1 -1 -1 -1 1 true", false},
		{"cron2", "minute=-15,hour=,unique=1 true", true},
		{"cron2", "month=4 true", false},
		{"cron2", "just a command", true},
	} {
		cfg := &Config{}
		if err := map[string]setter{"cron": cron(false).set, "cron2": setCron2}[test.option](cfg, given{name: test.option, text: test.text}); err != nil {
			t.Fatal(err)
		}
		if got := cfg.Crons[0].Due(now); got != test.want {
			t.Errorf("%s %s: %v", test.option, test.text, got)
		}
	}
}

func TestCronsThatAreRefused(t *testing.T) {
	for text, set := range map[string]setter{"-1 -1 echo x": cron(false).set, "-1 -1 -1 -1 -1": cron(true).set, "minute=1": setCron2, "second=1 x": setCron2, "day=x y": setCron2} {
		if err := set(&Config{}, given{name: "cron", text: text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
