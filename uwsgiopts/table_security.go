package uwsgiopts

// noIsolation is the reason for options that shut a service in. Going on without them would be unsafe.
const noIsolation = "a service must not start without the isolation that was asked for; use systemd or a container for it"

// noPivot is the same for a swap of root directories.
const noPivot = "a service must not start without the isolation that was asked for; use --chroot, or start envoxyd itself in there: RootDirectory= of systemd or a container"

// securityOptions declares: Users, privileges and isolation.
func securityOptions() []Option {
	return []Option{
		{Names: []string{"umask"}, Arg: RequiredArg, Doc: "file mode creation mask, octal", Value: Octal.by(setUmask)},
		{Names: []string{"chroot"}, Arg: RequiredArg, Doc: "change the root directory before privileges are dropped; python3, envoxyd and /proc have to be in there", Value: text(func(c *Config) *string { return &c.Chroot })},
		{Names: []string{"pivot-root", "pivot_root"}, Arg: RequiredArg, Doc: "swap the root directory: NEW OLD", Unsupported: noPivot},
		{Names: []string{"uid"}, Arg: RequiredArg, Doc: "run as this user, name or number", Value: Text.by(setUID)},
		{Names: []string{"gid"}, Arg: RequiredArg, Doc: "run as this group, name or number", Value: Text.by(setGID)},
		{Names: []string{"add-gid"}, Arg: RequiredArg, Doc: "add this group, name or number", Value: list(func(c *Config) *[]string { return &c.AddGIDs })},
		{Names: []string{"immediate-uid"}, Arg: RequiredArg, Doc: "run as this user, as early as possible", Value: Text.by(setUID)},
		{Names: []string{"immediate-gid"}, Arg: RequiredArg, Doc: "run as this group, as early as possible", Value: Text.by(setGID)},
		{Names: []string{"no-initgroups"}, Doc: "do not take on the other groups of the user", Value: flagOn(func(c *Config) *bool { return &c.NoInitgroups })},
		{Names: []string{"cap"}, Arg: RequiredArg, Doc: "capabilities to keep when privileges are dropped", Unsupported: "capabilities are not changed; give them by AmbientCapabilities= (systemd), or open the sockets before --uid takes effect, which needs no option"},
		{Names: []string{"unshare"}, Arg: RequiredArg, Doc: "go into new namespaces", Unsupported: noIsolation},
		{Names: []string{"unshare2"}, Arg: RequiredArg, Doc: "go into new namespaces after the hooks of the old", Unsupported: noIsolation},
		{Names: []string{"setns-socket"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "pass namespaces to others by this socket", Unsupported: noIsolation},
		{Names: []string{"setns-socket-skip", "setns-skip"}, Arg: RequiredArg, Value: List, Doc: "namespaces not to pass", Unsupported: noIsolation},
		{Names: []string{"setns"}, Arg: RequiredArg, Doc: "join the namespaces of this socket or directory", Unsupported: noIsolation},
		{Names: []string{"setns-preopen"}, Value: Flag, Doc: "open the namespaces before joining", Unsupported: noIsolation},
		{Names: []string{"jailed"}, Value: Flag, Doc: "do as if already in a jail", Unsupported: noIsolation},
		{Names: []string{"jail"}, Arg: RequiredArg, Doc: "go into a FreeBSD jail", Unsupported: noIsolation},
		{Names: []string{"jail-ip4"}, Arg: RequiredArg, Value: List, Doc: "IPv4 address of the FreeBSD jail", Unsupported: noIsolation},
		{Names: []string{"jail-ip6"}, Arg: RequiredArg, Value: List, Doc: "IPv6 address of the FreeBSD jail", Unsupported: noIsolation},
		{Names: []string{"jidfile", "jid-file"}, Arg: RequiredArg, Doc: "write the number of the FreeBSD jail to this file", Unsupported: noIsolation},
		{Names: []string{"jail2", "libjail"}, Arg: RequiredArg, Value: List, Doc: "parameters of the FreeBSD jail", Unsupported: noIsolation},
		{Names: []string{"jail-attach"}, Arg: RequiredArg, Doc: "join this FreeBSD jail", Unsupported: noIsolation},
		{Names: []string{"refork", "re-fork"}, Value: Flag, Doc: "fork again after the application is loaded", NoOp: "the master loads no application, and workers are forked by another process"},
		{Names: []string{"refork-as-root", "re-fork-as-root"}, Value: Flag, Doc: "fork again while still privileged", NoOp: "the master loads no application, and workers are forked by another process"},
		{Names: []string{"refork-post-jail", "re-fork-post-jail"}, Value: Flag, Doc: "fork again after the jail", NoOp: "the master loads no application, and workers are forked by another process"},
		{Names: []string{"master-as-root"}, Doc: "let the master keep its privileges", Value: flagOn(func(c *Config) *bool { return &c.MasterAsRoot })},
		{Names: []string{"drop-after-init"}, Value: Flag, Doc: "drop privileges after the interpreter is up", NoOp: "sockets, pidfiles, cgroups and what hook-as-root does come before privileges are dropped; Python's start needs none"},
		{Names: []string{"drop-after-apps"}, Value: Flag, Doc: "drop privileges after the applications are loaded", Unsupported: "an application is imported without privileges; do in hook-as-root or exec-as-root what needs them"},
		{Names: []string{"cgroup"}, Arg: RequiredArg, Doc: "run in this control group", Value: list(func(c *Config) *[]string { return &c.Cgroups })},
		{Names: []string{"cgroup-opt"}, Arg: RequiredArg, Doc: "set a value in those of the control groups that have it: KEY=VALUE", Value: List.by(addCgroupOpt)},
		{Names: []string{"cgroup-dir-mode"}, Arg: RequiredArg, Doc: "mode of the control group's directory, octal", Value: Octal.by(setCgroupDirMode)},
		{Names: []string{"namespace", "ns"}, Arg: RequiredArg, Doc: "run in a new namespace with this root: HOST:DIRECTORY", Unsupported: noIsolation},
		{Names: []string{"namespace-keep-mount"}, Arg: RequiredArg, Value: List, Doc: "keep this mounted in the namespace", Unsupported: noIsolation},
		{Names: []string{"namespace-net", "ns-net"}, Arg: RequiredArg, Doc: "network namespace to run in", Unsupported: noIsolation},
	}
}
