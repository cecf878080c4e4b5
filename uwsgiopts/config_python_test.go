package uwsgiopts

import (
	"path/filepath"
	"testing"
)

func TestIniPasteNamesOptionsAndTheApplication(t *testing.T) {
	files := map[string]string{"site.ini": "[uwsgi]\nprocesses = 3\n[other]\nprocesses = 4\n"}
	for _, test := range []struct {
		option, value string
		processes     int
		logger        bool
	}{{"ini-paste", "site.ini", 3, false}, {"ini-paste-logged", "site.ini", 3, true}, {"ini-paste", "site.ini:other", 4, false}} {
		cfg, _, err := parseIn(t, files, nil, "--"+test.option, test.value)
		if err != nil {
			t.Fatal(err)
		}
		if want := "config:" + filepath.Join(cfg.StartDir, "site.ini"); cfg.Paste != want || cfg.Processes != test.processes || cfg.PasteLogger != test.logger {
			t.Errorf("%s %s: paste %q, %d processes, logger %t", test.option, test.value, cfg.Paste, cfg.Processes, cfg.PasteLogger)
		}
	}
}

func TestAliasesHaveTwoParts(t *testing.T) {
	for value, fine := range map[string]bool{"a=b": true, "a=": false, "=b": false, "a": false} {
		if _, _, err := parseIn(t, nil, nil, "--pymodule-alias", value); (err == nil) != fine {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestPoolsAndModifiers(t *testing.T) {
	for args, fine := range map[[2]string]bool{
		{"--zergpool", "pool:127.0.0.1:1,/a/socket"}: true, {"--zergpool", "pool"}: false, {"--zergpool", "pool:a,"}: false, {"--zergpool", ":a"}: false,
		{"--allowed-modifiers", "0, 173"}: true, {"--allowed-modifiers", "256"}: false, {"--allowed-modifiers", "0,"}: false,
	} {
		cfg, _, err := parseIn(t, nil, nil, args[0], args[1])
		if (err == nil) != fine {
			t.Errorf("%v: %v", args, err)
		}
		if fine && len(cfg.ZergPools) > 0 && (cfg.ZergPools[0].Address != "pool" || len(cfg.ZergPools[0].Sockets) != 2) {
			t.Errorf("%+v", cfg.ZergPools)
		}
	}
}
