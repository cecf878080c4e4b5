package worker

import "testing"

func TestALogvarWithoutANameHidesNoOther(t *testing.T) {
	s := &slot{}
	s.setLogvar([]byte("a"), []byte("1"))
	s.setLogvar(nil, []byte("x"))
	s.setLogvar([]byte("b"), []byte("2"))
	room := make([]byte, 8)
	if n := s.logvar([]byte("b"), room); n != 1 || room[0] != '2' {
		t.Errorf("b is %q, size %d", room, n)
	}
	if s.logvar(nil, room) != -1 {
		t.Error("there is one without a name")
	}
}
