package gateway

import (
	"strings"
	"testing"
	"time"

	"envoxyd/modules/lenient"
)

func TestTheClientIDOfAMachine(t *testing.T) {
	plain := brokerConf{ClientID: "shop"}
	if id := plain.client("x", false).ClientID; id != "shop" {
		t.Errorf("%q", id)
	}
	shared := brokerConf{ClientID: "shop", Shared: lenient.Toggle(true)}
	if id := shared.client("x", false).ClientID; !strings.HasPrefix(id, "shop-") || id == "shop-" {
		t.Errorf("%q", id)
	}
}

func TestAClientOfAnotherServiceIsNoMember(t *testing.T) {
	s := &sharing{members: map[string]*member{}, prefix: "p/"}
	s.cfg.ClientID = "shop-0123456789ab"
	for _, id := range []string{"shop-ffffffffffff", "shop", "", "bank-ffffffffffff", "shop-fffffffffffg", "shop-x-ffffffffffff", "controller"} {
		s.heard(id, []byte(`{"lost": true}`))
	}
	if len(s.members) != 1 || s.members["shop-ffffffffffff"] == nil {
		t.Errorf("%v", s.members)
	}
}

func TestGroupNames(t *testing.T) {
	for service, group := range map[string]string{"": "envoxyd", "shop": "shop", "a/b+c#": "a-b-c-"} {
		if got := groupName(service); got != group {
			t.Errorf("%q: %q", service, got)
		}
	}
}

func TestOneInstanceIsChosenForALostOne(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	for _, lost := range []string{"x", "y", "z", "w"} {
		chosen := 0
		for _, own := range names {
			s := &sharing{members: map[string]*member{lost: {lost: true}}}
			s.cfg.ClientID = own
			for _, other := range names {
				if other != own {
					s.members[other] = &member{}
				}
			}
			if len(s.due(time.Now())) == 1 {
				chosen++
			}
			s.members[lost].by, s.members[lost].taken = "b", false
			if other := s.members["b"]; other != nil && len(s.due(time.Now())) != 0 {
				t.Errorf("%s takes what b has begun to take", own)
			}
		}
		begun := &sharing{members: map[string]*member{lost: {lost: true, by: "own"}, "other": {}}}
		begun.cfg.ClientID = "own"
		if len(begun.due(time.Now())) != 1 {
			t.Errorf("what this instance has begun with %s is left to others, which wait for it", lost)
		}
		if chosen != 1 {
			t.Errorf("%d are chosen for %s", chosen, lost)
		}
	}
}
