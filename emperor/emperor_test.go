package emperor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"envoxyd/uwsgiopts"
)

func TestWhatIsAConfiguration(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.ini", "b.xml", "c.yml", "d.yaml", "e.json", "f.js", "readme.txt", ".hidden.ini", "g.skel", "h.ini~", "noext"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.ini"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere.ini", filepath.Join(dir, "broken.ini")); err != nil {
		t.Fatal(err)
	}
	all := []string{"a.ini", "b.xml", "c.yml", "d.yaml", "e.json", "f.js"}
	for _, c := range []struct {
		text string
		want []string
	}{
		{dir, all}, {"dir://" + dir, all}, {filepath.Join(dir, "[ab].*"), []string{filepath.Join(dir, "a.ini"), filepath.Join(dir, "b.xml")}},
		{"glob://" + dir + "/*.yaml", []string{dir + "/d.yaml"}}, {dir + "/a.ini", []string{dir + "/a.ini"}}, {dir + "/none.ini", nil},
	} {
		s, err := NewSource(&uwsgiopts.EmperorConfig{}, c.text)
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.Scan()
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, one := range found {
			ids = append(ids, one.ID)
			if one.Changed.IsZero() || one.UID != uint32(os.Getuid()) {
				t.Errorf("%+v", one)
			}
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%s: %q, want %q", c.text, ids, c.want)
		}
	}
	if _, err := NewSource(&uwsgiopts.EmperorConfig{}, "dir://"+dir+"/none"); err == nil {
		t.Error("a directory that is not there is taken")
	}
}

func TestCommandsOfVassals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.ini")
	if err := os.WriteFile(path, []byte("[uwsgi]\nwrap = no\n[emperor]\nwrap = /bin/wrap\n dir = /srv \n"), 0o700); err != nil {
		t.Fatal(err)
	}
	options := []uwsgiopts.VassalOption{{Name: "set", Value: "a=b", Before: true}, {Name: "include", Value: "x.ini"}}
	for _, c := range []struct {
		cfg  uwsgiopts.EmperorConfig
		want []string
		dir  string
	}{
		{uwsgiopts.EmperorConfig{}, []string{"/self", "--ini", "a.ini"}, dir},
		{uwsgiopts.EmperorConfig{VassalOptions: options}, []string{"/self", "--set", "a=b", "--ini", "a.ini", "--include", "x.ini"}, dir},
		{uwsgiopts.EmperorConfig{EmperorWrapper: "/bin/w"}, []string{"/bin/w", "--ini", "a.ini"}, dir},
		{uwsgiopts.EmperorConfig{EmperorWrapper: "/bin/w", WrapperAttribute: "wrap", ChdirAttribute: "dir"}, []string{"/bin/wrap", "--ini", "a.ini"}, "/srv"},
		{uwsgiopts.EmperorConfig{EmperorMagicExec: true}, []string{"/self", "--ini", "exec://" + path}, dir},
	} {
		source, err := NewSource(&c.cfg, dir)
		if err != nil {
			t.Fatal(err)
		}
		found, err := source.Scan()
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		e := &Emperor{cfg: &c.cfg}
		v := &vassal{Instance: found[0], source: source, attrs: attributes(&found[0], e.wanted())}
		if cmd := v.command(&c.cfg, "/self"); !slices.Equal(cmd.Args, c.want) || cmd.Dir != c.dir {
			t.Errorf("%q in %s, want %q in %s", cmd.Args, cmd.Dir, c.want, c.dir)
		}
	}
}

func TestTyrantsRefuseRootsFiles(t *testing.T) {
	cfg := &uwsgiopts.EmperorConfig{EmperorTyrant: true}
	v := &vassal{Instance: Instance{ID: "a.ini"}}
	if _, err := v.credential(cfg); err == nil {
		t.Error("a file of root's is run as root")
	}
	v.UID, v.GID = 1000, 1001
	if who, err := v.credential(cfg); err != nil || who.Uid != 1000 || who.Gid != 1001 || len(who.Groups) != 0 {
		t.Errorf("%+v, %v", who, err)
	}
	if who, err := v.credential(&uwsgiopts.EmperorConfig{}); who != nil || err != nil {
		t.Errorf("without tyrant: %+v, %v", who, err)
	}
}

func TestWhatTheStatisticsSay(t *testing.T) {
	now := time.Unix(1000, 0)
	e := &Emperor{cfg: &uwsgiopts.EmperorConfig{Emperors: []string{"v"}, EmperorTyrant: true}, order: []string{"bad", "good"}, vassals: map[string]*vassal{
		"good": {Instance: Instance{ID: "good"}, loyal: now, ready: now, accepting: now, starts: 3},
		"bad":  {Instance: Instance{ID: "bad"}, failed: true, retry: now.Add(1500 * time.Millisecond), firstRun: now},
	}}
	d := e.document(now)
	if len(d.Vassals) != 2 || d.Vassals[1].ID != "good" || d.Vassals[1].Loyal != 1 || d.Vassals[1].LastReady != 1000 || d.Vassals[1].Respawns != 2 || d.Tyrant != 1 {
		t.Errorf("%+v", d)
	}
	if len(d.Blacklist) != 1 || d.Blacklist[0].ID != "bad" || d.Blacklist[0].ThrottleLevel != 1500 || d.Blacklist[0].FirstAttempt != 1000 {
		t.Errorf("%+v", d.Blacklist)
	}
}

func TestChangesThatMatter(t *testing.T) {
	e := &Emperor{cfg: &uwsgiopts.EmperorConfig{OnDemandExtension: ".socket", EmperorExtensions: []string{".conf"}}}
	for name, want := range map[string]bool{"a.ini": true, "a.ini.socket": true, "a.conf": true, "a.log": false, "a.sock": false, "ini": false} {
		if got := e.matters(fsnotify.Event{Name: "/v/" + name}); got != want {
			t.Errorf("a change of %s matters: %v", name, got)
		}
	}
}

func TestWhatInstancesDoNotInherit(t *testing.T) {
	for name, own := range map[string]bool{"UWSGI_EMPEROR": true, "UWSGI_EMPEROR_FD": true, "UWSGI_VASSAL_SET": true, "LISTEN_FDS": true,
		"NOTIFY_SOCKET": true, "UWSGI_PROCESSES": false, "PATH": false} {
		if emperorsOwn(name) != own {
			t.Errorf("%s is the emperor's own: %v", name, !own)
		}
	}
}

func TestFilesOfTheSameNameInTwoPlaces(t *testing.T) {
	paths := map[string]bool{}
	for range 2 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.ini"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Chdir(filepath.Dir(dir))
		for _, text := range []string{dir, filepath.Base(dir) + "/*.ini"} { // one file, found twice
			s, err := NewSource(&uwsgiopts.EmperorConfig{}, text)
			if err != nil {
				t.Fatal(err)
			}
			found, err := s.Scan()
			if err != nil || len(found) != 1 {
				t.Fatalf("%v, %v", found, err)
			}
			paths[found[0].Path] = true
		}
	}
	if len(paths) != 2 {
		t.Errorf("%v", paths)
	}
}
