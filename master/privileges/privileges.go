// Package privileges turns --uid, --gid and --add-gid into the credentials of processes.
//
// Credentials belong to threads in Linux. Drop changes those of every thread of this
// process, because each of them may start a child.
package privileges

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"envoxyd/uwsgiopts"
)

// Settings are a user, a group and additional groups, as written: names or numbers. Its zero value changes nothing.
type Settings struct {
	User, Group  string
	Additional   []string
	NoInitgroups bool // the user's own additional groups are not taken on
}

// Of returns the settings of a configuration.
func Of(cfg *uwsgiopts.Config) Settings {
	return Settings{User: cfg.UID, Group: cfg.GID, Additional: cfg.AddGIDs, NoInitgroups: cfg.NoInitgroups}
}

// Apply tells whether a process that runs as root has to change its credentials for s.
func (s Settings) Apply() bool { return os.Geteuid() == 0 && (s.User != "" || s.Group != "") }

// Identity is who a process is to be.
type Identity struct {
	UID, GID int
	Groups   []int // all additional groups, sorted; empty: none

	changesUser, changesGroup bool
	// Notice says what an operator should know about the choice of the group; "": nothing.
	Notice string
}

// Resolve looks the names up. What s leaves open is as this process has it, with two
// exceptions: a user without a group gets its own primary group, and additional
// groups are those of the user and s.Additional, never those of root.
func (s Settings) Resolve() (Identity, error) {
	who := Identity{UID: os.Geteuid(), GID: os.Getegid()}
	var account uwsgiopts.Account
	var known bool
	if s.User != "" {
		uid, err := uwsgiopts.LookupUID(s.User)
		if err != nil {
			return who, fmt.Errorf("uid: %w", err)
		}
		who.UID, who.changesUser = uid, true
		account, known = uwsgiopts.LookupAccount(uid)
	}
	switch {
	case s.Group != "":
		gid, err := uwsgiopts.LookupGID(s.Group)
		if err != nil {
			return who, fmt.Errorf("gid: %w", err)
		}
		who.GID, who.changesGroup = gid, true
	case known && who.UID != 0:
		who.GID, who.changesGroup = account.GID, true
		who.Notice = fmt.Sprintf("uid %s without gid: the group is the user's own, %d", s.User, account.GID)
	case s.User != "" && who.UID != 0:
		who.Notice = fmt.Sprintf("*** WARNING: uid %s has no account and there is no gid: the group stays %d (use the --gid flag) ***", s.User, who.GID)
	}
	if known && !s.NoInitgroups {
		who.Groups = append(account.Groups(who.GID), who.GID)
	}
	for _, name := range s.Additional {
		gid, err := uwsgiopts.LookupGID(name)
		if err != nil {
			return who, fmt.Errorf("add-gid: %w", err)
		}
		who.Groups = append(who.Groups, gid)
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	return who, nil
}

// Credential is the identity as os/exec wants it for a child.
func (who Identity) Credential() *syscall.Credential {
	groups := make([]uint32, 0, len(who.Groups))
	for _, gid := range who.Groups {
		groups = append(groups, uint32(gid))
	}
	return &syscall.Credential{Uid: uint32(who.UID), Gid: uint32(who.GID), Groups: groups}
}

// Credential resolves s for a child; nil: the child is to be who we are.
func (s Settings) Credential() (*syscall.Credential, error) {
	if !s.Apply() {
		return nil, nil
	}
	who, err := s.Resolve()
	if err != nil {
		return nil, err
	}
	return who.Credential(), nil
}

// Drop makes this whole process, all of its threads, the identity, for good; logf gets a line for each change.
func (who Identity) Drop(logf func(format string, args ...any)) error {
	if who.Notice != "" {
		logf("%s", who.Notice)
	}
	// The functions of syscall change all threads; those of x/sys/unix with the same names need not.
	if err := syscall.Setgroups(who.Groups); err != nil {
		return fmt.Errorf("setgroups(): %w", err)
	}
	if who.changesGroup {
		if err := syscall.Setgid(who.GID); err != nil {
			return fmt.Errorf("setgid(): %w", err)
		}
		logf("setgid() to %d", who.GID)
	}
	if len(who.Groups) > 0 {
		logf("set additional groups %v", who.Groups)
	}
	if who.changesUser {
		if err := syscall.Setuid(who.UID); err != nil {
			return fmt.Errorf("setuid(): %w", err)
		}
		logf("setuid() to %d", who.UID)
	}
	return nil
}
