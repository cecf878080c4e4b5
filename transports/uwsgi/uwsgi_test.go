package uwsgi

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

const limit = 4096

// receive is what a connection's first bytes are.
func receive(data []byte) transports.Request {
	c := &transports.Conn{Socket: &transports.Socket{Limit: limit}}
	return Transport.New().Receive(c, data, make([]byte, limit+128))
}

func packet(modifier1, modifier2 byte, block []byte) []byte {
	return append(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: modifier1, Size: len(block), Modifier2: modifier2}), block...)
}

func vars(pairs ...string) (block []byte) {
	for i := 0; i < len(pairs); i += 2 {
		block = uwsgi.AppendVar(block, pairs[i], pairs[i+1])
	}
	return block
}

func TestAPacketIsARequest(t *testing.T) {
	block := vars("REQUEST_METHOD", "GET", "PATH_INFO", "/")
	for _, modifier := range []byte{uwsgi.ModifierPython, uwsgi.ModifierManage} {
		whole := packet(modifier, 7, block)
		for end := range len(whole) {
			if q := receive(whole[:end]); q.Vars != nil || q.Err != nil || q.Answer != nil {
				t.Fatalf("%d bytes: %+v", end, q)
			}
		}
		q := receive(append(whole, "body"...))
		if !bytes.Equal(q.Vars, block) || q.Service || q.HeadSize != len(whole) || q.Length != transports.FromVars ||
			q.Modifier1 != modifier || q.Modifier2 != 7 || q.NoBody || q.Keep {
			t.Errorf("modifier %d: %+v", modifier, q)
		}
	}
}

func TestAPersistentPacketHasNoBody(t *testing.T) {
	c := &transports.Conn{Socket: &transports.Socket{Limit: limit}}
	q := Persistent.New().Receive(c, packet(0, 0, vars("a", "b")), nil)
	if !q.NoBody || !q.Keep || q.Err != nil {
		t.Errorf("%+v", q)
	}
}

// A connection is kept where the socket allows it, for who has asked.
func TestAPingMayAskForMoreRequests(t *testing.T) {
	ask, request := packet(uwsgi.ModifierPing, uwsgi.PingKeep, nil), packet(0, 0, vars("a", "b"))
	for _, allowed := range []bool{true, false} {
		c := &transports.Conn{Socket: &transports.Socket{Limit: limit, KeepAlive: allowed}}
		if q := Transport.New().Receive(c, request, nil); q.Keep {
			t.Error("it is kept without having been asked for")
		}
		q := Transport.New().Receive(c, ask, nil)
		if want := map[bool]string{true: "d\x00\x00K", false: "d\x00\x00\x01"}[allowed]; string(q.Answer) != want || q.Keep != allowed {
			t.Errorf("allowed %v: %+v", allowed, q)
		}
		if q := Transport.New().Receive(c, request, nil); q.Keep != allowed || q.NoBody {
			t.Errorf("allowed %v: %+v", allowed, q)
		}
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	var tooLong *transports.TooLongError
	var modifier transports.ModifierError
	if q := receive(packet(0, 0, make([]byte, limit+1))[:10]); !errors.As(q.Err, &tooLong) || tooLong.Size != limit+1 {
		t.Errorf("a long one: %+v", q)
	}
	if q := receive(packet(uwsgi.ModifierRPC, 0, make([]byte, limit+1))[:4]); !errors.As(q.Err, &tooLong) {
		t.Errorf("a long service: %+v", q)
	}
	if q := receive(packet(5, 0, nil)); !errors.As(q.Err, &modifier) || modifier != 5 {
		t.Errorf("an unknown one: %+v", q)
	}
	if q := receive(packet(0, 0, nil)); !errors.Is(q.Err, transports.ErrEmpty) {
		t.Errorf("an empty one: %+v", q)
	}
	if q := receive(packet(uwsgi.ModifierPing, 9, nil)); !bytes.Equal(q.Answer, []byte{100, 0, 0, 1}) || q.Note == "" {
		t.Errorf("a ping: %+v", q)
	}
}

// service splits what the application gets of a service's packet.
func splitService(t *testing.T, q transports.Request) (modifier1, modifier2 string, block []byte) {
	t.Helper()
	rest, values := q.Vars, map[string][]byte{}
	for len(rest) > 0 {
		key, value, after, err := uwsgi.Next(rest)
		if err != nil {
			t.Fatalf("the variables are broken: %v", err)
		}
		values[string(key)], rest = value, after
	}
	if len(values) != 3 {
		t.Fatalf("%d variables", len(values))
	}
	return string(values[VarModifier1]), string(values[VarModifier2]), values[VarBlock]
}

func TestAServiceGetsItsBlockAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		modifier byte
		block    []byte
		length   int64
	}{
		"a signal":                        {uwsgi.ModifierSignal, nil, 0},
		"a function":                      {uwsgi.ModifierRPC, []byte("\x05\x00hello"), 0},
		"a function's size is nothing":    {uwsgi.ModifierRPC, vars("size", "10"), 0},
		"no variables at all":             {uwsgi.ModifierCache, []byte("\xff\xff\xff"), 0},
		"a value":                         {uwsgi.ModifierCache, vars("cmd", "set", "key", "k", "size", "12"), 12},
		"a value, not by CONTENT_LENGTH":  {uwsgi.ModifierCache, vars("CONTENT_LENGTH", "12"), 0},
		"a value of which no size counts": {uwsgi.ModifierCache, vars("size", "-1"), 0},
		"more than there is":              {uwsgi.ModifierCache, vars("size", strings.Repeat("9", 30)), 0},
		"a size behind nonsense":          {uwsgi.ModifierCache, append([]byte("\x00\x00"), vars("size", "1")...), 0},
		"a job":                           {uwsgi.ModifierSpool, vars("task", "x"), 0},
		"a job with a body":               {uwsgi.ModifierSpool, vars("task", "x", "CONTENT_LENGTH", "7"), 7},
		"a full packet":                   {uwsgi.ModifierRPC, make([]byte, limit), 0},
	} {
		q := receive(packet(c.modifier, 200, c.block))
		if q.Err != nil || !q.Service || q.Length != c.length || q.HeadSize != uwsgi.HeaderSize+len(c.block) || q.Modifier1 != c.modifier || q.Keep {
			t.Errorf("%s: %+v", name, q)
			continue
		}
		if _, modifier2, block := splitService(t, q); modifier2 != "200" || !bytes.Equal(block, c.block) {
			t.Errorf("%s: modifier2 %s, %q", name, modifier2, block)
		}
	}
}

func FuzzService(f *testing.F) {
	f.Add(byte(uwsgi.ModifierCache), byte(17), vars("cmd", "set", "key", "k", "size", "3"), []byte("abc"))
	f.Add(byte(uwsgi.ModifierSpool), byte(0), vars("task", "x", "CONTENT_LENGTH", "3"), []byte("abc"))
	f.Add(byte(uwsgi.ModifierRPC), byte(0), []byte("\x05\x00hello\xff"), []byte(nil))
	f.Add(byte(uwsgi.ModifierSignal), byte(255), []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, modifier1, modifier2 byte, block, behind []byte) {
		block = block[:min(len(block), math.MaxUint16)]
		data := packet(modifier1, modifier2, block)
		q := receive(append(data, behind...))
		if !q.Service {
			return
		}
		if q.Err != nil {
			t.Fatalf("a service within the limit is refused: %v", q.Err)
		}
		if q.HeadSize != len(data) || q.Length < 0 {
			t.Fatalf("%d bytes and a body of %d", q.HeadSize, q.Length)
		}
		if _, _, got := splitService(t, q); !bytes.Equal(got, block) {
			t.Fatalf("%q has become %q", block, got)
		}
	})
}
