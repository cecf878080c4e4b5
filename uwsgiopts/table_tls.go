package uwsgiopts

// tlsOptions declares: TLS.
func tlsOptions() []Option {
	return []Option{
		{Names: []string{"ssl-socket", "suwsgi-socket"}, Arg: RequiredArg, Value: secureSocket("uwsgi"), Doc: "listen on this address and speak uwsgi over TLS: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]"},
		{Names: []string{"https-socket"}, Arg: RequiredArg, Value: secureSocket("http"), Doc: "listen on this address and speak HTTPS, answered by the workers themselves: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]; clients have to show a certificate of !CLIENT_CA, and may show one of CLIENT_CA"},
		{Names: []string{"https-socket-modifier1"}, Arg: RequiredArg, Doc: "modifier1 of requests that come in over https-socket: 0 for Python, 9 for CGI programs", Value: modifier1(func(c *Config) *byte { return &c.Modifier1.HTTPSSocket })},
		{Names: []string{"https-socket-modifier2"}, Arg: RequiredArg, Value: Wide, Doc: "modifier2 of requests that come in over https-socket", NoOp: "Python applications do not use it"},
		{Names: []string{"ssl-verbose"}, Doc: "log handshakes that fail", Value: flagOn(func(c *Config) *bool { return &c.TLSVerbose })},
		{Names: []string{"ssl-verify-depth"}, Arg: OptionalArg, Doc: "most certificates between a client's and its root", Value: number(func(c *Config) *int { return &c.VerifyDepth })},
		{Names: []string{"ssl-sessions-use-cache", "ssl-session-use-cache"}, Arg: OptionalArg, Flags: StartsMaster, Doc: "keep TLS sessions in this cache", NoOp: "sessions are kept by clients, in tickets that all workers read"},
		{Names: []string{"ssl-sessions-timeout", "ssl-session-timeout"}, Arg: RequiredArg, Value: Int, Doc: "seconds that TLS sessions live", NoOp: "sessions end with the keys of their tickets, after two to three days"},
		{Names: []string{"sni"}, Arg: RequiredArg, Doc: "certificate for a host, or *.DOMAIN: NAME CERT,KEY[,CIPHERS[,CLIENT_CA]]", Value: addSNI(false)},
		{Names: []string{"sni-dir"}, Arg: RequiredArg, Doc: "directory of HOST.crt, HOST.key and HOST.ca, which workers read when a client asks for the host", Value: text(func(c *Config) *string { return &c.SNIDir })},
		{Names: []string{"sni-dir-ciphers"}, Arg: RequiredArg, Doc: "ciphers for those certificates", Value: Text.by(setSNIDirCiphers)},
		{Names: []string{"ssl-enable3", "ssl-enable-sslv3"}, Value: Flag, Flags: Dispensable, Doc: "offer SSL 3", Unsupported: "SSL 3 is insecure and not implemented; remove the option: clients use TLS"},
		{Names: []string{"ssl-enable-tlsv1"}, Doc: "offer TLS 1.0 and 1.1, which are unsafe", Value: flagOn(func(c *Config) *bool { return &c.enableTLSv1 })},
		{Names: []string{"ssl-option"}, Arg: RequiredArg, Doc: "OpenSSL option, by number: 16384 (no tickets), 67108864, 268435456, 134217728, 536870912 (no TLS 1.0, 1.1, 1.2, 1.3)", Value: List.by(addSSLOption)},
		{Names: []string{"sni-regexp"}, Arg: RequiredArg, Doc: "certificate for hosts that match: REGEXP CERT,KEY[,CIPHERS[,CLIENT_CA]]", Value: addSNI(true)},
		{Names: []string{"ssl-tmp-dir"}, Arg: RequiredArg, Doc: "directory for temporary files of certificates", NoOp: "certificates and keys are never written to a file"},
		{Names: []string{"http2"}, Arg: OptionalArg, Flags: Own, Doc: "let clients of https, https2 and https-socket agree on HTTP/2 (on by default)", Value: flagOn(func(c *Config) *bool { return &c.HTTP2 })},
	}
}
