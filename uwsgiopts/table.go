package uwsgiopts

// Sections returns the whole option table, in the order of the documentation.
func Sections() []Section {
	return []Section{
		{"Sockets", socketsOptions()},
		{"TLS", tlsOptions()},
		{"HTTP sockets", httpOptions()},
		{"Processes and threads", processesOptions()},
		{"Cheaper: adaptive numbers of workers", cheaperOptions()},
		{"Reloading", reloadOptions()},
		{"Limits", limitsOptions()},
		{"Python", pythonOptions()},
		{"Request loops and websockets", loopOptions()},
		{"Configuration", configOptions()},
		{"Logging", loggingOptions()},
		{"Alarms", alarmOptions()},
		{"Statistics and metrics", metricsOptions()},
		{"Tracing", tracingOptions()},
		{"Static files and headers", staticOptions()},
		{"Internal routing", routingOptions()},
		{"Mules, spoolers, timers and daemons", backgroundOptions()},
		{"Cache, queue and shared memory", sharingOptions()},
		{"Users, privileges and isolation", securityOptions()},
		{"Hooks", hooksOptions()},
		{"Emperor and zerg", emperorOptions()},
		{"Subscriptions and legions", clusterOptions()},
		{"Other routers", routersOptions()},
		{"Other languages", languagesOptions()},
		{"Other plugins and the rest", extrasOptions()},
	}
}
