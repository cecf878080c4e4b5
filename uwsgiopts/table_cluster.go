package uwsgiopts

import "time"

// noLegion is the reason for options of clusters that elect one of their instances.
const noLegion = "legions are not supported; use keepalived, Kubernetes, Consul or PostgreSQL advisory locks to decide where a job runs"

// clusterOptions declares: Subscriptions and legions.
func clusterOptions() []Option {
	return []Option{
		{Names: []string{"weight"}, Arg: RequiredArg, Doc: "weight of this instance for a subscription server", Value: Wide.by(setWeight)},
		{Names: []string{"auto-weight"}, Arg: RequiredArg, Doc: "make the weight the number of processors", Value: Flag.by(setAutoWeight)},
		{Names: []string{"multicast"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "join this multicast group", Unsupported: "multicast messages are not read; receive them in a mule or an attached daemon"},
		{Names: []string{"multicast-ttl"}, Arg: RequiredArg, Value: Int, Doc: "time to live of multicast messages", Unsupported: "multicast messages are not read; receive them in a mule or an attached daemon"},
		{Names: []string{"multicast-loop"}, Arg: RequiredArg, Value: Int, Doc: "take one's own multicast messages too", Unsupported: "multicast messages are not read; receive them in a mule or an attached daemon"},
		{Names: []string{"subscription-notify-socket"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "take notices of subscription servers on this unix socket, or UDP address", Value: text(func(c *Config) *string { return &c.SubscriptionNotify })},
		{Names: []string{"subscription-mountpoints", "subscription-mountpoint"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "subscribe with mount points", Unsupported: "keys are host names only: match paths in the application or with routes"},
		{Names: []string{"subscription-vassal-required"}, Flags: StartsMaster, Doc: "take only subscriptions that name a vassal", Value: flagOn(func(c *Config) *bool { return &c.VassalRequired })},
		{Names: []string{"legion"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "join a legion: NAME ADDRESS VALOR ALGORITHM:SECRET", Unsupported: noLegion},
		{Names: []string{"legion-mcast"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "join a legion by multicast", Unsupported: noLegion},
		{Names: []string{"legion-node"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "add a node to a legion: NAME ADDRESS", Unsupported: noLegion},
		{Names: []string{"legion-freq"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "seconds between announcements in a legion", Unsupported: noLegion},
		{Names: []string{"legion-tolerance"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "seconds after which a silent node is given up", Unsupported: noLegion},
		{Names: []string{"legion-death-on-lord-error"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "seconds to give up being lord for when a hook failed", Unsupported: noLegion},
		{Names: []string{"legion-skew-tolerance"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "largest difference of clocks within a legion, in seconds", Unsupported: noLegion},
		{Names: []string{"legion-lord"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run on becoming lord of a legion", Unsupported: noLegion},
		{Names: []string{"legion-unlord"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run on ceasing to be lord of a legion", Unsupported: noLegion},
		{Names: []string{"legion-setup"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run on setting up a legion", Unsupported: noLegion},
		{Names: []string{"legion-death"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run on leaving a legion", Unsupported: noLegion},
		{Names: []string{"legion-join"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run when a legion has its quorum for the first time", Unsupported: noLegion},
		{Names: []string{"legion-node-joined"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run when a node joins a legion", Unsupported: noLegion},
		{Names: []string{"legion-node-left"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "action to run when a node leaves a legion", Unsupported: noLegion},
		{Names: []string{"legion-quorum"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "number of nodes that a legion needs: NAME NUMBER", Unsupported: noLegion},
		{Names: []string{"legion-scroll"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "text that a node announces: NAME TEXT", Unsupported: noLegion},
		{Names: []string{"legion-scroll-max-size"}, Arg: RequiredArg, Value: Int16, Doc: "largest such text, in bytes", Unsupported: noLegion},
		{Names: []string{"legion-scroll-list-max-size"}, Arg: RequiredArg, Value: Bytes, Doc: "largest size of all such texts, in bytes", Unsupported: noLegion},
		{Names: []string{"subscriptions-sign-check"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "take only signed subscriptions: DIGEST:DIRECTORY of public keys", Value: Text.by(setSignCheck)},
		{Names: []string{"subscriptions-sign-check-tolerance"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "largest age of a signature, in seconds", Value: seconds(func(c *Config) *time.Duration { return &c.SignTolerance })},
		{Names: []string{"subscriptions-sign-skip-uid"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "user whose subscriptions by a unix socket need no signature", Value: List.by(setSignSkipUID)},
		{Names: []string{"subscriptions-credentials-check"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "take only subscriptions by a unix socket whose sender owns the file of the key's name in this directory", Value: list(func(c *Config) *[]string { return &c.CredentialDirs })},
		{Names: []string{"subscriptions-use-credentials"}, Doc: "send credentials with subscriptions", NoOp: "the kernel tells a server on a unix socket who sends"},
		{Names: []string{"subscription-algo"}, Arg: RequiredArg, Doc: "way in which subscribed servers share requests: wrr, lrc, wlrc, iphash", Value: oneOf(func(c *Config) *string { return &c.SubscriptionAlgo }, algorithms...)},
		{Names: []string{"subscription-dotsplit"}, Doc: "look up shorter and shorter domain names for a subscription", Value: flagOn(func(c *Config) *bool { return &c.SubscriptionDotsplit })},
		{Names: []string{"subscribe-to", "st", "subscribe"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "subscribe to a router: SERVER:KEY[,MODIFIER1[,DIGEST:KEYFILE]]", Value: List.by(setSubscribe)},
		{Names: []string{"subscribe2"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "subscribe to a router: server=ADDRESS,key=KEY,…", Value: List.by(setSubscribe2)},
		{Names: []string{"subscribe-freq"}, Arg: RequiredArg, Doc: "seconds between two announcements to routers", Value: seconds(func(c *Config) *time.Duration { return &c.SubscribeFreq })},
		{Names: []string{"subscription-tolerance"}, Arg: RequiredArg, Doc: "seconds after which a router drops a silent server", Value: seconds(func(c *Config) *time.Duration { return &c.SubscriptionTolerance })},
		{Names: []string{"subscription-tolerance-inactive"}, Arg: RequiredArg, Value: Int, Doc: "the same for servers that get no requests", NoOp: "a server that announces itself is available, whether it gets requests or not"},
		{Names: []string{"unsubscribe-on-graceful-reload"}, Value: Flag, Doc: "unsubscribe at graceful reloads too", NoOp: "sockets stay open during a reload"},
		{Names: []string{"start-unsubscribed"}, Doc: "subscribe only when told to, by S in the master-fifo", Value: flagOn(func(c *Config) *bool { return &c.StartUnsubscribed })},
		{Names: []string{"subscription-clear-on-shutdown"}, Value: Flag, Doc: "clear subscriptions when stopping", NoOp: "an instance unsubscribes in any case when it stops"},
		{Names: []string{"subscribe-with-modifier1"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "modifier1 of this instance's subscriptions", Value: Text.by(setSubscribeModifier1)},
		{Names: []string{"legion-cron", "cron-legion"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "as cron, on the lord of a legion: LEGION MINUTE HOUR DAY MONTH WEEKDAY COMMAND", Unsupported: noLegion},
		{Names: []string{"unique-legion-cron", "unique-cron-legion"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "as legion-cron, unless the last run still lasts", Unsupported: noLegion},
		{Names: []string{"legion-attach-daemon"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "as attach-daemon, on the lord of a legion: LEGION COMMAND", Unsupported: noLegion},
		{Names: []string{"legion-smart-attach-daemon"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "as smart-attach-daemon, on the lord of a legion: LEGION PIDFILE COMMAND", Unsupported: noLegion},
		{Names: []string{"legion-smart-attach-daemon2"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "as smart-attach-daemon2, on the lord of a legion: LEGION PIDFILE COMMAND", Unsupported: noLegion},
	}
}
