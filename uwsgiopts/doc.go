// Package uwsgiopts knows what can be said to envoxyd: every option of uWSGI, the
// command line, the UWSGI_* variables and the ini, yaml, json and xml languages.
// All of them end in one ordered list of (option, value, where it was written),
// from which Parse fills a typed Config.
package uwsgiopts
