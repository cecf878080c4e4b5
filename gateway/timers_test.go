package gateway

import (
	"testing"
	"time"
)

func TestNextTickWhenTheTimeOfDayIsSet(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse("2 15:04:05", text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, c := range []struct{ name, cron, last, now, want string }{
		{"on time", "* * * * *", "2 12:00:00", "2 12:00:00", "2 12:01:00"},
		{"after a long call", "* * * * *", "2 12:00:00", "2 12:05:30", "2 12:06:00"},
		{"a little behind", "* * * * *", "2 12:00:00", "2 11:59:59", "2 12:01:00"},
		{"set back by less than a minute", "* * * * *", "2 12:00:00", "2 11:59:20", "2 12:01:00"},
		{"set back by an hour", "* * * * *", "2 12:00:00", "2 11:00:20", "2 11:01:00"},
		{"a daily one set back by an hour", "0 12 * * *", "2 12:00:00", "2 11:00:20", "3 12:00:00"},
		{"a daily one set back by days", "0 12 * * *", "12 12:00:00", "2 11:00:20", "2 12:00:00"},
		{"set forward", "0 12 * * *", "2 12:00:00", "9 13:00:00", "10 12:00:00"},
	} {
		if got, err := nextTick(c.cron, at(c.last), at(c.now)); err != nil || !got.Equal(at(c.want)) {
			t.Errorf("%s: %v, %v; want %s", c.name, got, err, c.want)
		}
	}
	if got, err := nextTick("* * * * *", time.Time{}, at("2 12:00:00")); err != nil || !got.Equal(at("2 12:01:00")) {
		t.Errorf("the first one: %v, %v", got, err)
	}
}
