package master

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// dropPrivileges becomes the user and group of --uid and --gid, for good; with
// --master-as-root only zygote and workers do.
func dropPrivileges(cfg *uwsgiopts.Config) error {
	if os.Geteuid() != 0 || cfg.MasterAsRoot || cfg.UID == "" && cfg.GID == "" {
		return nil
	}
	who, err := credential(cfg)
	if err != nil {
		return err
	}
	groups := make([]int, len(who.Groups))
	for i, gid := range who.Groups {
		groups[i] = int(gid)
	}
	if cfg.GID != "" {
		if err := unix.Setgroups(groups); err != nil {
			return fmt.Errorf("setgroups(): %w", err)
		}
		if err := unix.Setgid(int(who.Gid)); err != nil {
			return fmt.Errorf("setgid(): %w", err)
		}
		logf("setgid() to %d", who.Gid)
	}
	if cfg.UID != "" {
		if err := unix.Setuid(int(who.Uid)); err != nil {
			return fmt.Errorf("setuid(): %w", err)
		}
		logf("setuid() to %d", who.Uid)
	}
	return nil
}

// credential is what --uid, --gid and --add-gid name; ours where they are silent.
func credential(cfg *uwsgiopts.Config) (*syscall.Credential, error) {
	who := &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}
	if cfg.UID != "" {
		uid, err := lookupUser(cfg.UID)
		if err != nil {
			return nil, fmt.Errorf("uid: %w", err)
		}
		who.Uid = uint32(uid)
	}
	if cfg.GID != "" {
		gid, err := lookupGroup(cfg.GID)
		if err != nil {
			return nil, fmt.Errorf("gid: %w", err)
		}
		who.Gid = uint32(gid)
	}
	for _, name := range cfg.AddGIDs {
		gid, err := lookupGroup(name)
		if err != nil {
			return nil, fmt.Errorf("add-gid: %w", err)
		}
		who.Groups = append(who.Groups, uint32(gid))
	}
	return who, nil
}

func lookupUser(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(found.Uid)
}

func lookupGroup(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	found, err := user.LookupGroup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(found.Gid)
}
