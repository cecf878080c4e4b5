package master

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"envoxyd/internal/routespec"
	"envoxyd/internal/workerspec"
	"envoxyd/uwsgiopts"
)

func TestRulesReachTheWorkersInOrder(t *testing.T) {
	cfg, err := uwsgiopts.Parse([]string{"--http-socket", ":0", "--route-run", "log:1", "--error-route", "^/ log:2", "--route", "^/ log:3"}, nil, uwsgiopts.ParseOptions{Args0: "envoxyd", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := baseSpec(cfg, 0, time.Now(), "lib")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var read workerspec.Spec
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	want := []routespec.Rule{
		{Option: "route-run", Value: "log:1", Origin: "command line"},
		{Stage: routespec.Error, Option: "route", Value: "^/ log:2", Origin: "command line"},
		{Option: "route", Value: "^/ log:3", Origin: "command line"},
	}
	if !reflect.DeepEqual(read.Routes, want) {
		t.Errorf("%+v", read.Routes)
	}
}
