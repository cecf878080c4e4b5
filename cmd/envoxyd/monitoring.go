package main

import (
	"fmt"
	"io"
	"os"

	"envoxyd/master"
	"envoxyd/protocol/uwsgi"
	"envoxyd/uwsgiopts"
)

// The exit statuses that Nagios gives a meaning to.
const (
	nagiosOK       = 0
	nagiosCritical = 2
	nagiosUnknown  = 3
)

// nagios asks at the first uwsgi socket of the configuration whether an instance lives (--nagios), prints the line that Nagios shows,
// and returns its status.
func nagios(cfg *uwsgiopts.Config) int {
	for _, s := range cfg.Sockets {
		if s.Protocol != "uwsgi" {
			continue
		}
		if err := exchange(s.Address, uwsgi.Header{Modifier1: uwsgi.ModifierPing}, pong, cfg.SocketTimeout); err != nil {
			fmt.Printf("UWSGI CRITICAL: %v\n", err)
			return nagiosCritical
		}
		fmt.Printf("UWSGI OK: the instance at %s answers\n", s.Address)
		return nagiosOK
	}
	fmt.Println("UWSGI UNKNOWN: no socket of the protocol uwsgi is named (--socket)")
	return nagiosUnknown
}

// zabbixTemplate writes the template of --zabbix-template and returns the exit status.
func zabbixTemplate(cfg *uwsgiopts.Config) int {
	out, finish := io.Writer(os.Stdout), func() error { return nil }
	if name := cfg.ZabbixTemplateFile; name != "" {
		file, err := os.Create(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "zabbix-template: %v\n", err)
			return 1
		}
		out, finish = file, file.Close
	}
	err := master.WriteZabbixTemplate(out, cfg)
	if failed := finish(); err == nil {
		err = failed
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "zabbix-template: %v\n", err)
		return 1
	}
	return 0
}
