package uwsgiopts

import (
	"slices"
	"strings"
	"testing"
)

// pluginNotices reads one value of plugin and returns what is said about it.
func pluginNotices(t *testing.T, option, value string) ([]string, error) {
	t.Helper()
	c, err := Parse([]string{"--" + option, value}, nil, ParseOptions{Dir: t.TempDir()})
	return slices.DeleteFunc(c.Notices, func(n string) bool { return !strings.Contains(n, "UNABLE") }), err
}

func TestPluginsThatAreBuiltIn(t *testing.T) {
	for _, name := range []string{
		"python", "python3", "python311", "python3.11", "http", "corerouter", "carbon", "cheaper_busyness", "syslog", "rsyslog", "logfile", "logsocket",
		"router_redirect", "router_rewrite", "router_static", "transformation_gzip", "cache", "gevent", "0:python3", "/usr/lib/uwsgi/plugins/syslog_plugin.so",
		"python3, http,carbon", "",
	} {
		for _, option := range []string{"plugin", "plugins", "need-plugin", "need-plugins"} {
			if notices, err := pluginNotices(t, option, name); err != nil || len(notices) > 0 {
				t.Errorf("%s = %s: %q, %v", option, name, notices, err)
			}
		}
	}
}

func TestPluginsThatAreNot(t *testing.T) {
	for _, name := range []string{"nosuch", "php", "rack", "router_spnego", "pythonista", "symcall", "./json_log_plugin.so", "http,nosuch"} {
		for _, option := range []string{"plugin", "plugins"} {
			if notices, err := pluginNotices(t, option, name); err != nil || len(notices) != 1 {
				t.Errorf("%s = %s: %q, %v", option, name, notices, err)
			}
		}
		for _, option := range []string{"need-plugin", "need-plugins"} {
			_, err := pluginNotices(t, option, name)
			last := name[strings.LastIndex(name, ",")+1:]
			if want := "command line: UNABLE to load uWSGI plugin " + last + ": it is not built in"; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s = %s: %v, want %s", option, name, err, want)
			}
		}
	}
}

func TestIfPluginIsTrueForWhatIsBuiltIn(t *testing.T) {
	for name, want := range map[string]bool{"python": true, "http": true, "carbon": true, "rpc": true, "fastrouter": true, "gevent": true, "tornado": true, "php": false, "nosuch": false} {
		c, err := Parse([]string{"--if-plugin", name, "--set", "found=yes", "--endif"}, nil, ParseOptions{Dir: t.TempDir()})
		if got := slices.ContainsFunc(c.Pairs, func(p Pair) bool { return p.Name == "found" }); err != nil || got != want {
			t.Errorf("if-plugin = %s: %t, %v", name, got, err)
		}
	}
}

func TestEveryPluginHasAnOptionAndAReason(t *testing.T) {
	for _, one := range plugins {
		o := allOptions().find(one.option)
		if one.reason == "" || len(one.names) == 0 || one.option != "" && (o == nil || o.Status() == Unsupported) {
			t.Errorf("%v: %v", one, o)
		}
	}
}
