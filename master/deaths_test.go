package master

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/master/resources"
)

// More deaths than a master is likely to see: the eventfd's counter must not fill up, or nobody would be told any more.
func TestEveryDeathIsTold(t *testing.T) {
	const deaths = 1000
	m := &master{}
	m.tellOfDeath() // no generation has been: there is nobody to tell
	bell, err := resources.NewKept(func(string) int { return -1 }).Bell("deaths")
	if err != nil {
		t.Fatal(err)
	}
	defer bell.Close()
	m.owned.deaths = bell
	for range deaths {
		m.tellOfDeath()
	}
	var count [8]byte
	if _, err := unix.Read(int(bell.Fd()), count[:]); err != nil {
		t.Fatal(err)
	}
	if got := binary.NativeEndian.Uint64(count[:]); got != deaths {
		t.Errorf("%d deaths are told, not %d", got, deaths)
	}
}
