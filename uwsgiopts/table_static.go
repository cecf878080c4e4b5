package uwsgiopts

// staticOptions declares: Static files and headers.
func staticOptions() []Option {
	return []Option{
		{Names: []string{"add-header"}, Arg: RequiredArg, Doc: "add a header to all answers: NAME: VALUE", Value: list(func(c *Config) *[]string { return &c.AddHeaders })},
		{Names: []string{"rem-header", "del-header"}, Arg: RequiredArg, Doc: "remove a header from all answers", Value: list(func(c *Config) *[]string { return &c.DelHeaders })},
		{Names: []string{"collect-header", "response-header-collect"}, Arg: RequiredArg, Doc: "keep a response header in a request variable: HEADER VARIABLE", Value: headerVariable(func(c *Config) *[]string { return &c.CollectHeaders })},
		{Names: []string{"pull-header"}, Arg: RequiredArg, Doc: "as collect-header, and remove the header", Value: headerVariable(func(c *Config) *[]string { return &c.PullHeaders })},
		{Names: []string{"check-static", "static-check"}, Arg: RequiredArg, Doc: "serve a file from this directory if there is one for the path", Value: list(func(c *Config) *[]string { return &c.CheckStatic })},
		{Names: []string{"check-static-docroot"}, Doc: "the same for the request's DOCUMENT_ROOT", Value: flagOn(func(c *Config) *bool { return &c.CheckStaticDocroot })},
		{Names: []string{"static-map"}, Arg: RequiredArg, Doc: "serve files below a path from a directory: /PATH=DIRECTORY", Value: staticMap(func(c *Config) *[][2]string { return &c.StaticMaps })},
		{Names: []string{"static-map2"}, Arg: RequiredArg, Doc: "as static-map, with the whole path appended to the directory", Value: staticMap(func(c *Config) *[][2]string { return &c.StaticWholeMaps })},
		{Names: []string{"static-skip-ext"}, Arg: RequiredArg, Doc: "do not serve files with this suffix", Value: list(func(c *Config) *[]string { return &c.StaticSkipExt })},
		{Names: []string{"static-index"}, Arg: RequiredArg, Doc: "file to serve for a directory", Value: list(func(c *Config) *[]string { return &c.StaticIndex })},
		{Names: []string{"static-safe"}, Arg: RequiredArg, Doc: "directory outside of the mapped one that links may lead to", Value: list(func(c *Config) *[]string { return &c.StaticSafe })},
		{Names: []string{"static-cache-paths"}, Arg: RequiredArg, Value: Int, Flags: StartsMaster, Doc: "seconds to remember where files are", NoOp: "finding a file takes a few microseconds"},
		{Names: []string{"static-cache-paths-name"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "cache to remember that in", NoOp: "finding a file takes a few microseconds"},
		{Names: []string{"mime-file", "mimefile"}, Arg: RequiredArg, Doc: "read MIME types from this file instead of /etc/mime.types", Value: list(func(c *Config) *[]string { return &c.MimeFiles })},
		{Names: []string{"static-expires-type"}, Arg: RequiredArg, Doc: "Expires header by MIME type: TYPE=SECONDS", Value: expiryByType(false)},
		{Names: []string{"static-expires-type-mtime"}, Arg: RequiredArg, Doc: "the same, counted from the file's change", Value: expiryByType(true)},
		{Names: []string{"static-expires"}, Arg: RequiredArg, Doc: "Expires header by file name: REGEXP SECONDS", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpires }, false)},
		{Names: []string{"static-expires-mtime"}, Arg: RequiredArg, Doc: "the same, counted from the file's change", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpires }, true)},
		{Names: []string{"static-expires-uri"}, Arg: RequiredArg, Doc: "Expires header by request URI: REGEXP SECONDS", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpiresURI }, false)},
		{Names: []string{"static-expires-uri-mtime"}, Arg: RequiredArg, Doc: "the same, counted from the file's change", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpiresURI }, true)},
		{Names: []string{"static-expires-path-info"}, Arg: RequiredArg, Doc: "Expires header by PATH_INFO: REGEXP SECONDS", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpiresPathInfo }, false)},
		{Names: []string{"static-expires-path-info-mtime"}, Arg: RequiredArg, Doc: "the same, counted from the file's change", Value: expiryByPattern(func(c *Config) *[]Expiry { return &c.StaticExpiresPathInfo }, true)},
		{Names: []string{"static-gzip"}, Arg: RequiredArg, Doc: "send the .br or .gz file beside a file whose name matches this regular expression", Value: list(func(c *Config) *[]string { return &c.StaticGzip })},
		{Names: []string{"static-gzip-all"}, Doc: "send the .br or .gz file beside a file whenever there is one", Value: flagOn(func(c *Config) *bool { return &c.StaticGzipAll })},
		{Names: []string{"static-gzip-dir", "static-gzip-prefix"}, Arg: RequiredArg, Doc: "the same for files whose names start with this directory", Value: list(func(c *Config) *[]string { return &c.StaticGzipPrefixes })},
		{Names: []string{"static-gzip-ext", "static-gzip-suffix"}, Arg: RequiredArg, Doc: "the same for files whose names end with this suffix", Value: list(func(c *Config) *[]string { return &c.StaticGzipSuffixes })},
		{Names: []string{"honour-range"}, Doc: "answer requests for a part of a file", Value: flagOn(func(c *Config) *bool { return &c.HonourRange })},
		{Names: []string{"offload-threads", "offload-thread"}, Arg: RequiredArg, Doc: "threads in each worker that send files", NoOp: "files are sent without a core waiting; the log still says via offload()", Value: number(func(c *Config) *int { return &c.Offload })},
		{Names: []string{"file-serve-mode", "fileserve-mode"}, Arg: RequiredArg, Doc: "leave sending files to the front end: nginx, x-sendfile or x-accel-redirect", Value: Text.by(setFileServeMode)},
		{Names: []string{"disable-sendfile"}, Doc: "do not use sendfile", Value: flagOn(func(c *Config) *bool { return &c.NoSendfile })},
	}
}
