package uwsgiopts

import (
	"reflect"
	"strings"
	"testing"
)

func TestStaticOptions(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--static-map", "/s=dir=x", "--static-map", "/t=t", "--static-map2", "/u=u",
		"--static-expires", ` \.(js|css) 3600 `, "--static-expires-mtime", "a b 5", "--static-expires-type", "text/css=7",
		"--static-expires-type-mtime", "image/png=8s", "--file-serve-mode", "NGINX", "--offload-threads", "2")
	if err != nil {
		t.Fatal(err)
	}
	want := StaticConfig{
		StaticMaps: [][2]string{{"/s", "dir=x"}, {"/t", "t"}}, StaticWholeMaps: [][2]string{{"/u", "u"}},
		StaticExpires:     []Expiry{{`\.(js|css)`, 3600, false}, {"a b", 5, true}},
		StaticExpiresType: []Expiry{{"text/css", 7, false}, {"image/png", 8, true}},
		FileServeMode:     "X-Accel-Redirect", Offload: 2,
	}
	if !reflect.DeepEqual(cfg.StaticConfig, want) {
		t.Errorf("got  %+v\nwant %+v", cfg.StaticConfig, want)
	}
}

func TestStaticOptionsThatMeanNothing(t *testing.T) {
	for _, args := range [][]string{
		{"--static-map", "/s"}, {"--static-expires", "x"}, {"--static-expires", "x y"}, {"--static-expires", "x -1"},
		{"--static-expires", "x 99999999999"}, {"--static-expires-type", "text/css"}, {"--static-expires-type", "text/css=soon"},
	} {
		if _, _, err := parseIn(t, nil, nil, args...); err == nil || !strings.Contains(err.Error(), args[0][2:]) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestStaticIsOffWithoutADirectory(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{[]string{"--mimefile", "x", "--static-index", "y", "--honour-range"}, false},
		{[]string{"--check-static", "x"}, true}, {[]string{"--check-static-docroot"}, true},
		{[]string{"--static-map2", "/=x"}, true}, {[]string{"--set", "check-static-docroot=false"}, false},
	} {
		cfg, _, err := parseIn(t, nil, nil, c.args...)
		if err != nil || cfg.Static() != c.want {
			t.Errorf("%v: %v, %v", c.args, cfg.Static(), err)
		}
	}
}
