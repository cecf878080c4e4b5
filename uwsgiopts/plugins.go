package uwsgiopts

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// plugin is one of uWSGI's that needs no loading: envoxyd does its work itself.
type plugin struct {
	names  []string
	option string // does the work, or stands for those that do; "": the server itself
	reason string // why the name is accepted
}

// plugins lists every name that plugin and need-plugin accept, Python's aside.
var plugins = []plugin{
	{[]string{"http"}, "http", "workers serve HTTP themselves"},
	{[]string{"corerouter"}, "http", "the base of uWSGI's routers, which --http needs there"},
	{[]string{"fastrouter"}, "fastrouter", "its options are in the table"},
	{[]string{"rawrouter"}, "rawrouter", "its options are in the table"},
	{[]string{"sslrouter"}, "sslrouter", "its options are in the table"},
	{[]string{"logfile", "logsocket", "logpipe", "redislog", "systemd_logger"}, "logger", "a kind of --logger"},
	{[]string{"syslog"}, "log-syslog", "a kind of --logger"},
	{[]string{"rsyslog"}, "rsyslog-packet-size", "a kind of --logger"},
	{[]string{"carbon"}, "carbon", "the master sends its statistics to Carbon"},
	{[]string{"stats_pusher_socket", "stats_pusher_statsd", "stats_pusher_file", "zabbix"}, "stats-push", "a kind of --stats-push"},
	{[]string{"cheaper_busyness"}, "cheaper-busyness-max", "a --cheaper-algo"},
	{[]string{"router_access", "router_basicauth", "router_cache", "router_expires", "router_hash", "router_http", "router_memcached", "router_metrics",
		"router_redirect", "router_redis", "router_rewrite", "router_static", "router_uwsgi"}, "route", "actions of routing rules"},
	{[]string{"transformation_chunked", "transformation_gzip", "transformation_offload", "transformation_template", "transformation_tofile",
		"transformation_toupper"}, "route", "actions of routing rules"},
	{[]string{"cache"}, "cache2", "its options are in the table"},
	{[]string{"cgi"}, "cgi", "workers run CGI programs"},
	{[]string{"spooler"}, "spooler", "its options are in the table"},
	{[]string{"rpc"}, "", "part of the uwsgi module"},
	{[]string{"signal"}, "signal", "its options are in the table"},
	{[]string{"ping"}, "ping", "its options are in the table"},
	{[]string{"nagios"}, "nagios", "its options are in the table"},
	{[]string{"rrdtool"}, "rrdtool", "its options are in the table"},
	{[]string{"zergpool"}, "zergpool", "its options are in the table"},
	{[]string{"gevent"}, "gevent", "its options are in the table"},
	{[]string{"asyncio"}, "asyncio", "its options are in the table"},
	{[]string{"greenlet"}, "greenlet", "its options are in the table"},
	{[]string{"tornado"}, "tornado", "its options are in the table"},
	{[]string{"ugreen"}, "ugreen", "its options are in the table"},
}

// pythonPlugin matches every name of the Python plugin: any Python from 3.8 on is served.
var pythonPlugin = compiled(`^python[0-9.]*$`)

// modifier is what may stand before a plugin's name, as in 0:python3.
var modifier = compiled(`^[0-9]+:`)

// builtIn tells whether a plugin needs no loading; /path/x_plugin.so is x.
func builtIn(text string) bool {
	name := path.Base(modifier().ReplaceAllString(text, ""))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".so"), "_plugin")
	return pythonPlugin().MatchString(name) || slices.ContainsFunc(plugins, func(one plugin) bool { return slices.Contains(one.names, name) })
}

// runPluginsList writes the names of all plugins that need no loading.
func runPluginsList(p *parser, _ *entry) error {
	fmt.Fprintln(p.opts.Stdout, "python")
	for _, one := range plugins {
		for _, name := range one.names {
			fmt.Fprintln(p.opts.Stdout, name)
		}
	}
	return leave(0)
}

// loadsPlugins makes the runner of plugin and need-plugin. A plugin that is not there is
// reported; only need-plugin refuses to go on.
func loadsPlugins(needed bool) runner {
	return func(p *parser, e *entry) error {
		for name := range strings.SplitSeq(e.Value, ",") {
			name = strings.TrimSpace(name)
			switch {
			case name == "" || builtIn(name):
			case needed:
				return refuse(e.Origin, "UNABLE to load uWSGI plugin %s: it is not built in, and plugins cannot be loaded", name)
			default:
				p.note(e.Origin, "!!! UNABLE to load uWSGI plugin %s: it is not built in, and plugins cannot be loaded !!!", name)
			}
		}
		return nil
	}
}
