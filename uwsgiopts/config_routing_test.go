package uwsgiopts

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"envoxyd/internal/routespec"
)

func TestRulesOfAllOptionsAreOneList(t *testing.T) {
	files := map[string]string{"site.ini": "[uwsgi]\nroute = ^/a last:\nroute-if = empty: break:\n\nresponse-route-status = 404 log:x\nfinal-route-run = log:y\nroute-host = h last:\n"}
	cfg, _, err := parseIn(t, files, nil, "--route-label", "first", "--ini", "site.ini", "--error-route-method", "GET last:")
	if err != nil {
		t.Fatal(err)
	}
	want := []routespec.Rule{
		{Stage: routespec.Request, Option: "route-label", Value: "first", Origin: "command line"},
		{Stage: routespec.Request, Option: "route", Value: "^/a last:", Origin: "site.ini:2"},
		{Stage: routespec.Request, Option: "route-if", Value: "empty: break:", Origin: "site.ini:3"},
		{Stage: routespec.Response, Option: "route-status", Value: "404 log:x", Origin: "site.ini:5"},
		{Stage: routespec.Final, Option: "route-run", Value: "log:y", Origin: "site.ini:6"},
		{Stage: routespec.Request, Option: "route-host", Value: "h last:", Origin: "site.ini:7"},
		{Stage: routespec.Error, Option: "route-method", Value: "GET last:", Origin: "command line"},
	}
	for _, rule := range want {
		if !slices.Contains(cfg.Routes, rule) {
			t.Errorf("%+v is not there", rule)
		}
	}
	if len(cfg.Routes) != len(want) {
		t.Fatalf("%+v", cfg.Routes)
	}
	var ofFile []string
	for _, rule := range cfg.Routes {
		if strings.HasPrefix(rule.Origin, "site.ini") {
			ofFile = append(ofFile, rule.Origin)
		}
	}
	if !slices.IsSorted(ofFile) {
		t.Errorf("the order is %q", ofFile)
	}
	if !slices.Contains(cfg.RouteLines, "[rule: 0] subject: request_method regexp: GET action: last:") {
		t.Errorf("%q", cfg.RouteLines)
	}
}

func TestAWrongRuleEndsTheStart(t *testing.T) {
	files := map[string]string{"site.ini": "[uwsgi]\nroute = ^/ log:x\nroute-run = nosuch:x\nerror-route = ( last:\n"}
	_, _, err := parseIn(t, files, nil, "--ini", "site.ini")
	var refused *ExitError
	if !errors.As(err, &refused) || refused.Status != 1 || !strings.HasPrefix(err.Error(), `site.ini:3: unable to register route "nosuch:x" (route-run)`) {
		t.Errorf("%v", err)
	}
	cfg, _, err := parseIn(t, files, nil, "--ini", "site.ini", "--check")
	if err != nil || len(cfg.Problems) != 2 || !strings.Contains(cfg.Problems[1].Error(), "site.ini:4") {
		t.Errorf("%v, %v", err, cfg.Problems)
	}
}

func TestWhatIsToBeSaidOfRules(t *testing.T) {
	cfg := mustParse(t, "--error-route-status", "4.. last:", "--routers-list", "--conditions-list")
	all := strings.Join(cfg.Notices, "\n")
	for _, want := range []string{"never matches", "*** uWSGI loaded routers ***\n*\n", "\naddheader\n", "*** uWSGI loaded route conditions ***", "\nipv4in\n"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in %q", want, all)
		}
	}
	if cfg := mustParse(t, "--set", "router-list=false"); len(cfg.Notices) > 0 {
		t.Errorf("%q", cfg.Notices)
	}
}
