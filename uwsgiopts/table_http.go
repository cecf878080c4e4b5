package uwsgiopts

import "time"

// httpOptions declares: HTTP sockets.
func httpOptions() []Option {
	f := httpFamily
	return append([]Option{
		{Names: []string{"http", "httprouter"}, Arg: RequiredArg, Doc: "serve HTTP on this address, with the limits and timeouts of the http- options", Value: socket(protocolRouter)},
		{Names: []string{"https"}, Arg: RequiredArg, Doc: "serve HTTPS on this address, with the limits and timeouts of the http- options: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]] as for https-socket", Value: secureSocket(protocolRouter)},
		{Names: []string{"https2"}, Arg: RequiredArg, Doc: "serve HTTPS on this address, as https does: addr=ADDRESS,cert=CERT,key=KEY[,ciphers=CIPHERS][,clientca=CLIENT_CA]", Value: namedSecureSocket(protocolRouter)},
		{Names: []string{"https-export-cert"}, Doc: "pass the client's certificate on as HTTPS_CC (PEM)", Value: flagOn(func(c *Config) *bool { return &c.ExportCert })},
		{Names: []string{"https-session-context"}, Arg: RequiredArg, Doc: "context of TLS sessions", NoOp: "a session is of use only on the socket, for the host, where it began"},
		{Names: []string{"http-to-https"}, Arg: RequiredArg, Doc: "redirect HTTP on this address to HTTPS on port 443 of the same host (301)", Value: socket(protocolToHTTPS)},
		{Names: []string{"http-var"}, Arg: RequiredArg, Doc: "add a variable to requests: NAME=VALUE", Value: list(func(c *Config) *[]string { return &c.HTTPVars })},
		{Names: []string{"http-modifier1"}, Arg: RequiredArg, Doc: "modifier1 of requests that the HTTP router forwards", Value: smallNumber(func(c *Config) *byte { return &c.HTTPModifier1 })},
		{Names: []string{"http-modifier2"}, Arg: RequiredArg, Doc: "modifier2 of requests that the HTTP router forwards", Value: smallNumber(func(c *Config) *byte { return &c.HTTPModifier2 })},
		{Names: []string{"http-subscription-fallback-key"}, Arg: RequiredArg, Doc: "key that the HTTP router uses when there is no subscription for another", Value: f.text(func(r *Router) *string { return &r.FallbackKey })},
		{Names: []string{"http-timeout"}, Arg: RequiredArg, Doc: "seconds that a client of --http may keep a read or a write waiting, and that the application may take until its response begins (then: 504)", Value: seconds(func(c *Config) *time.Duration { return &c.HTTPTimeout })},
		{Names: []string{"http-manage-expect"}, Arg: OptionalArg, Doc: "answer Expect: 100-continue; a value is the largest body to let in, in bytes", Value: Bytes.by(setManageExpect)},
		{Names: []string{"http-keepalive"}, Arg: OptionalArg, Doc: "seconds to keep an idle connection of --http open", Value: seconds(func(c *Config) *time.Duration { return &c.HTTPKeepalive })},
		{Names: []string{"http-auto-chunked"}, Doc: "send answers of unknown length in chunks", Value: flagOn(func(c *Config) *bool { return &c.HTTPAutoChunked })},
		{Names: []string{"http-auto-gzip"}, Doc: "compress answers that ask for it by uWSGI-Encoding: gzip", Value: flagOn(func(c *Config) *bool { return &c.HTTPAutoGzip })},
		{Names: []string{"http-raw-body"}, Doc: "let the HTTP router pass everything on that follows a head without a length; workers take any framing", Value: flagOn(func(c *Config) *bool { return &c.HTTPRawBody })},
		{Names: []string{"http-websockets"}, Value: Flag, Doc: "let connections become websockets", NoOp: "the application decides which connections become websockets"},
		{Names: []string{"http-chunked-input"}, Doc: "let the HTTP router pass chunks on as they come; without it a server gets the body with its length. Workers take chunks always", Value: flagOn(func(c *Config) *bool { return &c.HTTPChunkedInput })},
		{Names: []string{"http-use-socket"}, Arg: OptionalArg, Doc: "let the HTTP router hand requests to this socket of the instance, by its number", Value: Text.by(f.useSocket)},
		{Names: []string{"http-stud-prefix"}, Arg: RequiredArg, Doc: "address of stud, which puts the client's address first", Value: List.by(setStud)},
		{Names: []string{"http-uid"}, Arg: RequiredArg, Doc: "user that the HTTP router runs as", Value: f.text(func(r *Router) *string { return &r.UID })},
		{Names: []string{"http-gid"}, Arg: RequiredArg, Doc: "group that the HTTP router runs as", Value: f.text(func(r *Router) *string { return &r.GID })},
		{Names: []string{"http-resubscribe"}, Arg: RequiredArg, Doc: "pass subscriptions of the HTTP router on to the router at this address", Value: f.texts(func(r *Router) *[]string { return &r.Resubscribe })},
		{Names: []string{"http-server-name-as-http-host"}, Arg: RequiredArg, Doc: "set SERVER_NAME to the Host header", Value: flagOn(func(c *Config) *bool { return &c.HTTPServerNameIsHost })},
		{Names: []string{"http-headers-timeout"}, Arg: RequiredArg, Doc: "seconds that a client may take for the headers", Value: seconds(func(c *Config) *time.Duration { return &c.HTTPHeadersTimeout })},
		{Names: []string{"http-connect-timeout"}, Arg: RequiredArg, Doc: "seconds that the HTTP router waits for a connection to a server", Value: f.seconds(func(r *Router) *time.Duration { return &r.ConnectTimeout })},
		{Names: []string{"http-manage-source"}, Doc: "pass on what comes after the SOURCE method of Icecast, without an end", Value: flagOn(func(c *Config) *bool { return &c.HTTPSource })},
		{Names: []string{"http-enable-proxy-protocol"}, Arg: OptionalArg, Doc: "take the client's address from a PROXY line on --http", Value: flagOn(func(c *Config) *bool { return &c.HTTPProxyProtocol })},
		{Names: []string{"http-backend-http"}, Doc: "speak HTTP to the servers that requests are handed to", Value: flagOn(func(c *Config) *bool { return &c.HTTPBackendHTTP })},
		{Names: []string{"http-manage-rtsp"}, Doc: "speak RTSP", Unsupported: "RTSP is not spoken: put its server on a port of its own, or behind rawrouter"},
		{Names: []string{"http-post-buffering"}, Arg: RequiredArg, Doc: "bodies from this size on are taken in as a whole by the HTTP router before a server is asked, in bytes", Value: size(func(c *Config) *int64 { return &c.HTTPRouter.PostBuffering })},
		{Names: []string{"http-post-buffering-dir"}, Arg: RequiredArg, Doc: "directory where the HTTP router keeps large bodies", Value: f.text(func(r *Router) *string { return &r.PostDir })},
	}, f.common()...)
}
