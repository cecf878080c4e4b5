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
