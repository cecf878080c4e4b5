package uwsgiopts

// tlsOptions declares: TLS.
func tlsOptions() []Option {
	return []Option{
		{Names: []string{"ssl-socket", "suwsgi-socket"}, Arg: RequiredArg, Value: List, Doc: "listen on this address and speak uwsgi over TLS: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]"},
		{Names: []string{"https-socket"}, Arg: RequiredArg, Value: List, Doc: "listen on this address and speak HTTPS: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]"},
		{Names: []string{"https-socket-modifier1"}, Arg: RequiredArg, Value: Wide, Doc: "modifier1 of requests that come in over https-socket"},
		{Names: []string{"https-socket-modifier2"}, Arg: RequiredArg, Value: Wide, Doc: "modifier2 of requests that come in over https-socket"},
		{Names: []string{"ssl-verbose"}, Value: Flag, Doc: "log more about TLS"},
		{Names: []string{"ssl-verify-depth"}, Arg: OptionalArg, Value: Int, Doc: "longest chain of client certificates"},
		{Names: []string{"ssl-sessions-use-cache", "ssl-session-use-cache"}, Arg: OptionalArg, Flags: StartsMaster, Doc: "keep TLS sessions in this cache"},
		{Names: []string{"ssl-sessions-timeout", "ssl-session-timeout"}, Arg: RequiredArg, Value: Int, Doc: "seconds that TLS sessions live"},
		{Names: []string{"sni"}, Arg: RequiredArg, Value: List, Doc: "certificate for a host name: NAME CERT,KEY[,CIPHERS[,CLIENT_CA]]"},
		{Names: []string{"sni-dir"}, Arg: RequiredArg, Doc: "directory of certificates by host name"},
		{Names: []string{"sni-dir-ciphers"}, Arg: RequiredArg, Doc: "ciphers for those certificates"},
		{Names: []string{"ssl-enable3", "ssl-enable-sslv3"}, Value: Flag, Doc: "offer SSL 3"},
		{Names: []string{"ssl-enable-tlsv1"}, Value: Flag, Doc: "offer TLS 1.0"},
		{Names: []string{"ssl-option"}, Arg: RequiredArg, Value: List, Doc: "OpenSSL option, by number"},
		{Names: []string{"sni-regexp"}, Arg: RequiredArg, Value: List, Doc: "certificate for host names that match: REGEXP CERT,KEY[,CIPHERS[,CLIENT_CA]]"},
		{Names: []string{"ssl-tmp-dir"}, Arg: RequiredArg, Doc: "directory for temporary files of certificates"},
	}
}
