package uwsgiopts

import (
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
)

// LookupUID returns the number of a user given by name or number. Names are also looked
// up with getent(1), which knows the directory services that a static executable cannot.
func LookupUID(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	u, err := user.Lookup(name)
	if err == nil {
		return strconv.Atoi(u.Uid)
	}
	var unknown user.UnknownUserError
	if !errors.As(err, &unknown) {
		return 0, fmt.Errorf("looking up the user %q: %w", name, err)
	}
	return getent("passwd", name, err)
}

// LookupGID is LookupUID for groups.
func LookupGID(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err == nil {
		return strconv.Atoi(g.Gid)
	}
	var unknown user.UnknownGroupError
	if !errors.As(err, &unknown) {
		return 0, fmt.Errorf("looking up the group %q: %w", name, err)
	}
	return getent("group", name, err)
}

// getent returns the third field of a database entry, or notFound.
func getent(database, name string, notFound error) (int, error) {
	if name == "" || strings.HasPrefix(name, "-") {
		return 0, notFound
	}
	out, err := exec.Command("getent", database, name).Output()
	if err != nil {
		return 0, notFound
	}
	fields := strings.Split(string(out), ":")
	if len(fields) < 3 {
		return 0, notFound
	}
	return strconv.Atoi(fields[2])
}

// Account is a user's entry in the user database.
type Account struct {
	Name string
	GID  int // of the primary group
}

// LookupAccount finds the account of a user number; false: it has none.
func LookupAccount(uid int) (Account, bool) {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		gid, err := strconv.Atoi(u.Gid)
		return Account{Name: u.Username, GID: gid}, err == nil
	}
	out, err := exec.Command("getent", "passwd", strconv.Itoa(uid)).Output()
	fields := strings.Split(string(out), ":")
	if err != nil || len(fields) < 4 {
		return Account{}, false
	}
	gid, err := strconv.Atoi(fields[3])
	return Account{Name: fields[0], GID: gid}, err == nil
}

// Groups returns the additional groups of the account, as initgroups(3) would set them, less primary.
// id(1) is asked first: like getent it knows directory services.
func (a Account) Groups(primary int) (groups []int) {
	names := strings.Fields(a.idGroups())
	if len(names) == 0 {
		if u, err := user.Lookup(a.Name); err == nil {
			names, _ = u.GroupIds() // an account whose groups cannot be read has none
		}
	}
	for _, text := range names {
		if gid, err := strconv.Atoi(text); err == nil && gid != primary && gid != a.GID {
			groups = append(groups, gid)
		}
	}
	return groups
}

func (a Account) idGroups() string {
	if a.Name == "" || strings.HasPrefix(a.Name, "-") {
		return ""
	}
	out, err := exec.Command("id", "-G", a.Name).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
