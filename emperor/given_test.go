package emperor

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/emperorlink"
)

// above is what an instance finds in its environment, and the emperor's ends of it.
func above(t *testing.T) (a *Above, link, config *os.File) {
	t.Helper()
	link, theirLink, err := socketPair("link")
	if err != nil {
		t.Fatal(err)
	}
	config, theirConfig, err := socketPair("config")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(theirConfig.Fd())) // who finds it has it for good
	if err != nil {
		t.Fatal(err)
	}
	theirConfig.Close()
	t.Setenv(emperorlink.Variable, strconv.Itoa(int(theirLink.Fd())))
	t.Setenv(emperorlink.ConfigVariable, strconv.Itoa(fd))
	a = FindAbove()
	theirLink.Close()
	t.Cleanup(func() {
		for _, file := range []*os.File{link, config, a.config} {
			file.Close()
		}
		_ = unix.Close(a.link)
	})
	return a, link, config
}

func TestAConfigurationIsGivenAgainWhenItIsAskedFor(t *testing.T) {
	a, link, config := above(t)
	if _, ok := os.LookupEnv(emperorlink.ConfigVariable); ok {
		t.Error("the variable is inherited by others")
	}
	long := strings.Repeat("x", longestGiven)
	if _, err := config.Write(packet("first")); err != nil {
		t.Fatal(err)
	}
	if text, err := a.Read(); err != nil || text != "first" {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err := config.Write(append(packet("late"), 115, 5)); err != nil { // nobody has asked
		t.Fatal(err)
	}
	go func() {
		var word [1]byte
		if _, err := link.Read(word[:]); err == nil && word[0] == emperorlink.AskConfig {
			_, _ = config.Write(packet(long))
		}
	}()
	if text, err := a.Read(); err != nil || text != long {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestAnEmperorThatHasGone(t *testing.T) {
	a, _, config := above(t)
	if _, err := config.Write(packet("half of it")[:8]); err != nil {
		t.Fatal(err)
	}
	config.Close()
	if text, err := a.Read(); err == nil || !strings.Contains(err.Error(), "half a configuration") {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := a.Read(); err == nil {
		t.Errorf("%q", text)
	}
}

func TestNoEmperor(t *testing.T) {
	t.Setenv(emperorlink.ConfigVariable, "x")
	if text, err := FindAbove().Read(); err == nil {
		t.Errorf("%q", text)
	}
}
