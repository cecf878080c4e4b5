package privileges

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user nobody here")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	const nobodyElse = "2147483601"
	for _, c := range []struct {
		name     string
		settings Settings
		want     Identity
		notice   string
	}{
		{"nothing", Settings{}, Identity{UID: os.Geteuid(), GID: os.Getegid()}, ""},
		{"user alone takes its group", Settings{User: "nobody"}, Identity{UID: uid, GID: gid, Groups: []int{gid}}, "the group is the user's own"},
		{"number of a user", Settings{User: account.Uid, Group: "5"}, Identity{UID: uid, GID: 5, Groups: []int{5}}, ""},
		{"no account", Settings{User: nobodyElse}, Identity{UID: 2147483601, GID: os.Getegid()}, "has no account"},
		{"group alone", Settings{Group: "7"}, Identity{UID: os.Geteuid(), GID: 7}, ""},
		{"more groups, each once", Settings{User: "nobody", Group: "5", Additional: []string{"9", "5", "9", "8"}}, Identity{UID: uid, GID: 5, Groups: []int{5, 8, 9}}, ""},
		{"without the user's", Settings{User: "nobody", Additional: []string{"9"}, NoInitgroups: true}, Identity{UID: uid, GID: gid, Groups: []int{9}}, "the group is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.settings.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			if got.UID != c.want.UID || got.GID != c.want.GID || !slices.Equal(got.Groups, c.want.Groups) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !strings.Contains(got.Notice, c.notice) || (c.notice == "") != (got.Notice == "") {
				t.Errorf("notice %q, want one with %q", got.Notice, c.notice)
			}
		})
	}
}

func TestResolveRefusesUnknownNames(t *testing.T) {
	for option, settings := range map[string]Settings{
		"uid": {User: "no-such-user"}, "gid": {Group: "no-such-group"}, "add-gid": {Additional: []string{"no-such-group"}},
	} {
		if _, err := settings.Resolve(); err == nil || !strings.HasPrefix(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
