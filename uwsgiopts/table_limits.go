package uwsgiopts

// limitsOptions declares: Limits.
func limitsOptions() []Option {
	return []Option{
		{Names: []string{"max-vars"}, Short: 'v', Arg: RequiredArg, Doc: "largest number of request variables", Value: Int.by(setMaxVars).showing(func(c *Config) string { return shownNumber(c.MaxVars / 2) })},
		{Names: []string{"max-apps"}, Arg: RequiredArg, Doc: "largest number of applications in a worker that requests have named (dynamic-apps)", Value: number(func(c *Config) *int { return &c.MaxApps })},
		{Names: []string{"buffer-size"}, Short: 'b', Arg: RequiredArg, Doc: "largest size of a request's headers, in bytes", Value: smallSize(func(c *Config) *int { return &c.BufferSize })},
		{Names: []string{"limit-as"}, Arg: RequiredArg, Doc: "limit of each process's address space, in megabytes, without what the server's own runtime only reserves", Value: megabytes(func(c *Config) *int64 { return &c.LimitAS })},
		{Names: []string{"limit-nproc"}, Arg: RequiredArg, Doc: "limit of the number of processes", Value: number(func(c *Config) *int { return &c.LimitNproc })},
		{Names: []string{"ksm"}, Arg: OptionalArg, Value: Int, Doc: "let the kernel merge equal memory pages, every so many requests", NoOp: "workers are forked from one process and share its memory"},
		{Names: []string{"never-swap"}, Value: Flag, Flags: Dispensable, Doc: "keep all memory from being swapped", Unsupported: "memory cannot be locked: the Go runtime reserves more than it uses; set MemorySwapMax=0 (systemd) or memory.swap.max=0 (cgroup) for the service"},
		{Names: []string{"limit-post"}, Arg: RequiredArg, Doc: "largest request body, in bytes", Value: size(func(c *Config) *int64 { return &c.LimitPost })},
		{Names: []string{"prio"}, Arg: RequiredArg, Doc: "priority of the processes, may be negative", Value: SignedInt.by(setPrio)},
		{Names: []string{"cpu-affinity"}, Arg: RequiredArg, Doc: "bind each worker to this many processors", Value: number(func(c *Config) *int { return &c.CPUAffinity })},
		{Names: []string{"post-buffering"}, Arg: RequiredArg, Doc: "keep request bodies of this size and more on disk, in bytes", Value: size(func(c *Config) *int64 { return &c.PostBuffering })},
		{Names: []string{"post-buffering-bufsize"}, Arg: RequiredArg, Value: Bytes, Doc: "size of the buffer that such bodies are read with, in bytes", NoOp: "bodies are received before the application runs, with a buffer that fits them"},
		{Names: []string{"request-body-memory"}, Arg: RequiredArg, Flags: Own, Doc: "memory that a worker may use for request bodies that arrive or wait, in bytes (default 64 MiB; 0: no limit); beyond it they go to files", Value: size(func(c *Config) *int64 { return &c.BodyMemory })},
		{Names: []string{"request-body-files"}, Arg: RequiredArg, Flags: Own, Doc: "room that the request bodies of a worker may take in files in TMPDIR, in bytes (default 8 GiB; 0: no limit); beyond it requests are answered with 503, or 413 when they never fit", Value: size(func(c *Config) *int64 { return &c.BodyFiles })},
		{Names: []string{"request-body-files-total"}, Arg: RequiredArg, Flags: Own, Doc: "the same for all workers together (default 16 GiB)", Value: size(func(c *Config) *int64 { return &c.BodyFilesTotal })},
		{Names: []string{"response-memory"}, Arg: RequiredArg, Flags: Own, Doc: "memory that a worker may use for responses that clients have not read yet, in bytes (default 64 MiB; 0: no limit); beyond it they go to files", Value: size(func(c *Config) *int64 { return &c.ResponseMemory })},
		{Names: []string{"response-files"}, Arg: RequiredArg, Flags: Own, Doc: "room that such responses of a worker may take in files in TMPDIR, in bytes (default 8 GiB; 0: no limit); beyond it the application waits for the client", Value: size(func(c *Config) *int64 { return &c.ResponseFiles })},
		{Names: []string{"body-read-warning"}, Arg: RequiredArg, Value: Wide, Doc: "warn when more than this many reads wait for a body", NoOp: "the application starts when its body is whole, so no read waits"},
		{Names: []string{"upload-progress"}, Arg: RequiredArg, Flags: Dispensable, Doc: "write the progress of uploads to this directory", Unsupported: "upload progress is not written to files; use the progress events of XMLHttpRequest, or nginx"},
		{Names: []string{"max-fd"}, Arg: RequiredArg, Value: Int, Doc: "largest number of open descriptors", NoOp: "no table is sized by the descriptor limit, which is raised as far as allowed"},
		{Names: []string{"chunked-input-limit"}, Arg: RequiredArg, Value: Bytes, Doc: "largest chunk of a request body, in bytes", NoOp: "a chunked body counts as a whole: limit-post bounds it"},
		{Names: []string{"chunked-input-timeout"}, Arg: RequiredArg, Value: Int, Doc: "seconds to wait for a chunk", NoOp: "bodies are received before the application runs: socket-timeout bounds each wait"},
		{Names: []string{"response-headers-limit"}, Arg: RequiredArg, Value: Int, Doc: "largest size of the response headers, in bytes", NoOp: "the head of a response may have any size"},
	}
}
