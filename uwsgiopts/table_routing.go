package uwsgiopts

import "envoxyd/internal/routespec"

// routingOptions declares: Internal routing.
func routingOptions() []Option {
	var options []Option
	for _, stage := range []struct {
		stage routespec.Stage
		doc   string
	}{
		{routespec.Request, ""},
		{routespec.Final, "when the response has been sent: "},
		{routespec.Error, "whenever a status is set, an error or not: "},
		{routespec.Response, "before the response's headers are sent: "},
	} {
		for _, family := range []struct{ name, doc string }{
			{"route", "do ACTION if PATH_INFO matches: REGEXP ACTION"},
			{"route-status", "do ACTION for a status: STATUS ACTION"},
			{"route-host", "do ACTION if the Host header matches: REGEXP ACTION"},
			{"route-uri", "do ACTION if the request URI matches: REGEXP ACTION"},
			{"route-qs", "do ACTION if the query string matches: REGEXP ACTION"},
			{"route-remote-addr", "do ACTION if the client's address matches: REGEXP ACTION"},
			{"route-user-agent", "do ACTION if the user agent matches: REGEXP ACTION"},
			{"route-remote-user", "do ACTION if the remote user matches: REGEXP ACTION"},
			{"route-referer", "do ACTION if the referer matches: REGEXP ACTION"},
			{"route-method", "do ACTION if the request method matches: REGEXP ACTION"},
			{"route-label", "name this place for goto actions"},
			{"route-if", "do ACTION if a condition holds: CONDITION ACTION"},
			{"route-if-not", "do ACTION unless a condition holds: CONDITION ACTION"},
			{"route-run", "do ACTION"},
		} {
			if stage.stage == routespec.Request && family.name == "route-status" {
				continue
			}
			rule := routespec.Rule{Stage: stage.stage, Option: family.name}
			o := Option{Names: []string{rule.Name()}, Arg: RequiredArg, Doc: stage.doc + family.doc, Value: routeRule(rule)}
			if family.name == "route-method" {
				o.Flags = Own
			}
			options = append(options, o)
		}
	}
	return append(options,
		Option{Names: []string{"router-list", "routers-list"}, Doc: "list the actions of routing rules", Value: Flag.by(listActions)},
		Option{Names: []string{"condition-list", "conditions-list"}, Flags: Own, Doc: "list the conditions of routing rules", Value: Flag.by(listConditions)},
		Option{Names: []string{"error-page-403"}, Arg: RequiredArg, Doc: "HTML page for the server's own answers with status 403; of several the first that can be read", Value: list(func(c *Config) *[]string { return &c.ErrorPages403 })},
		Option{Names: []string{"error-page-404"}, Arg: RequiredArg, Doc: "HTML page for the server's own answers with status 404; of several the first that can be read", Value: list(func(c *Config) *[]string { return &c.ErrorPages404 })},
		Option{Names: []string{"error-page-500"}, Arg: RequiredArg, Doc: "HTML page for the server's own answers with status 500; of several the first that can be read", Value: list(func(c *Config) *[]string { return &c.ErrorPages500 })},
	)
}
