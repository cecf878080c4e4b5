package master

import (
	"fmt"
	"os"
	"strings"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/workerspec"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// cgiSpec says which programs workers run; nil when none.
func cgiSpec(cfg *uwsgiopts.Config) (*workerspec.CGI, error) {
	if !cfg.CGI() {
		return nil, nil
	}
	dir := workDir(cfg)
	atOnce := max(cfg.Processes, 1) * max(cfg.Cores(), 1)
	spec := &workerspec.CGI{
		DocumentRoot: cfg.CGIDocumentRoot, TimeoutSeconds: int(cfg.CGITimeout / time.Second), Index: cfg.CGIIndex,
		AllowedSuffixes: cfg.CGIAllowedExt, Unset: cfg.CGIUnset, KeepLinks: cfg.CGIKeepLinks, LeaveRunning: cfg.CGILeaveRunning,
		Most: atOnce, Waiting: cfg.Listen,
	}
	for _, pair := range cfg.CGIMaps {
		path := paths.In(dir, pair[1])
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("cgi: %w", err)
		}
		if pair[0] == "" {
			logf("initialized CGI path: %s", pair[1])
		} else {
			logf("initialized CGI mountpoint: %s = %s", pair[0], pair[1])
		}
		spec.Maps = append(spec.Maps, workerspec.CGIMap{Prefix: pair[0], Path: path})
	}
	for _, pair := range cfg.CGIHelpers {
		program := pair[1]
		if strings.Contains(program, "/") {
			program = paths.In(dir, program)
		}
		spec.Helpers = append(spec.Helpers, workerspec.CGIHelper{Suffix: pair[0], Program: program})
	}
	for _, name := range cfg.CGISafe {
		spec.Safe = append(spec.Safe, paths.In(dir, name))
	}
	return spec, nil
}

// modifier1Of is what requests over the socket are for.
func modifier1Of(cfg *uwsgiopts.Config, s *sockets.Socket) byte {
	switch s.Protocol {
	case "http", "http11":
		if s.TLS != nil {
			return cfg.Modifier1.HTTPSSocket
		}
		return cfg.Modifier1.HTTPSocket
	case "http-router":
		return cfg.Modifier1.HTTP
	case "fastcgi", "fastcgi-nph":
		return cfg.Modifier1.FastCGI
	case "scgi", "scgi-nph":
		return cfg.Modifier1.SCGI
	}
	return 0
}

// errorPages are the files for the server's own answers, by status. It logs statuses none of whose files is there.
func errorPages(cfg *uwsgiopts.Config) map[int][]string {
	pages := map[int][]string{}
	for status, names := range map[int][]string{403: cfg.ErrorPages403, 404: cfg.ErrorPages404, 500: cfg.ErrorPages500} {
		found := false
		for _, name := range names {
			name = paths.In(workDir(cfg), name)
			_, err := os.Stat(name)
			found = found || err == nil
			pages[status] = append(pages[status], name)
		}
		if len(names) > 0 && !found {
			logf("error-page-%d: there is no file %s: the answer is a line of text until there is", status, strings.Join(names, ", "))
		}
	}
	return pages
}
