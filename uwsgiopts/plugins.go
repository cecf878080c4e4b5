package uwsgiopts

import (
	"path"
	"regexp"
	"strings"
)

// builtInPlugins are the plugins whose work envoxyd does itself; every name of the Python
// plugin counts, since any Python from 3.8 on is served.
var builtInPlugins = regexp.MustCompile(`^(python[0-9.]*|http|corerouter|logfile)$`)

// builtIn tells whether a plugin needs no loading; /path/x_plugin.so is x.
func builtIn(plugin string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(path.Base(plugin), ".so"), "_plugin")
	return builtInPlugins.MatchString(name)
}

// loadsPlugins makes the runner of plugin and need-plugin. A plugin that is not there is
// reported; only need-plugin refuses to go on.
func loadsPlugins(needed bool) runner {
	return func(p *parser, e *entry) error {
		for plugin := range strings.SplitSeq(e.Value, ",") {
			plugin = strings.TrimSpace(plugin)
			switch {
			case plugin == "" || builtIn(plugin):
			case needed:
				return refuse(e.Origin, "UNABLE to load uWSGI plugin %s: it is not built in, and there are no others", plugin)
			default:
				p.note(e.Origin, "!!! UNABLE to load uWSGI plugin %s: it is not built in, and there are no others !!!", plugin)
			}
		}
		return nil
	}
}
