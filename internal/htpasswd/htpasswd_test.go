package htpasswd

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hashes are libxcrypt's and OpenSSL's of two passwords.
var hashes = map[string][2]string{
	"DES":     {"abRy4/6THFs9U", "abmF1QH4PEr.E"},
	"MD5":     {"$1$abcdefgh$6qENbeetgn0exf.OCTQaP0", "$1$abcdefgh$M55TzYaaccxVGbptZWaxX/"},
	"apr1":    {"$apr1$abcdefgh$rRdIxwY5XRHT4TMtBPZn.0", "$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie."},
	"SHA-256": {"$5$abcdefgh$PMzeX.3Tb43iNPh8ENNzPM9M7q/BLyRKM1Djd5s4Nu8", "$5$abcdefgh$mnv0N8gJGuJiQCFVlADjwwxPyRiUO8rGuljjETTLqw9"},
	"SHA-512": {"$6$abcdefgh$iiBW30h6MQUpgkXT9F87NVy6FIbloKXQmfPH87w2UkYa6T8cikoVXkyDCmOccwyrz69xvCZIs4Q.UiGV4ZRkv.", "$6$abcdefgh$v7sYNA18/BerGOYQLppYLyjH4yJilp8kqe/ef3KYMK9hOIdzH1yzcmP74Ay.m51y1jP3QqxM7Jl75S4CxDhBq."},
	"rounds": {"$6$rounds=5000$abcdefgh$iiBW30h6MQUpgkXT9F87NVy6FIbloKXQmfPH87w2UkYa6T8cikoVXkyDCmOccwyrz69xvCZIs4Q.UiGV4ZRkv.",
		"$6$rounds=5000$abcdefgh$v7sYNA18/BerGOYQLppYLyjH4yJilp8kqe/ef3KYMK9hOIdzH1yzcmP74Ay.m51y1jP3QqxM7Jl75S4CxDhBq."},
	"more rounds": {"$5$rounds=6000$ab$vF7s3QzMQxSJZTrYjH2fhHmwa9dVF9BHr5zxuG0n6g6", "$5$rounds=6000$ab$QepIwx5P2uNGfzI21szx9q/lFIUSdILIcht8XJkKta7"},
	"yescrypt":    {"$y$j9T$abcdefghijkl$eo47EYPYIDwj3EniV5hF6PzTStuQ1OmLFtMinC2YL4.", "$y$j9T$abcdefghijkl$SJlKotvR01XsCqWd3R.a/pDuni843AcP7Per6KdxN65"},
	"bcrypt 2b":   {"$2b$05$abcdefghijklmnopqrstuucZGbUxuMlEqps0qcu2pjhO7vaatQZIC", "$2b$05$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m"},
	"bcrypt 2y":   {"$2y$05$abcdefghijklmnopqrstuucZGbUxuMlEqps0qcu2pjhO7vaatQZIC", "$2y$05$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m"},
	"SHA":         {"{SHA}I7dElEdfX4dJgLdnbVEeI9iG2mQ=", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
}

func TestEveryKindOfHash(t *testing.T) {
	for kind, of := range hashes {
		for i, password := range []string{"pässword", ""} {
			if !verify(of[i], []byte(password)) {
				t.Errorf("%s: %q is not right", kind, password)
			}
			if verify(of[i], []byte("Pässword")) {
				t.Errorf("%s: another one than %q is right, too", kind, password)
			}
		}
	}
}

func TestWhatIsNoHashHasNoPassword(t *testing.T) {
	for _, hash := range []string{"", "secret", "*", "!", "!abRy4/6THFs9U", "$", "$$", "$9$a$b", "$6$", "$6$a", "$2b$05$", "$2b$99$abcdefghijklmnopqrstuu", "$y$", "$y$j9T$", "$apr1$", "{SHA}", "{SHA}x", "{SSHA}x", "äbcdefghijkl"} {
		for _, password := range []string{"", "secret", hash} {
			if verify(hash, []byte(password)) {
				t.Errorf("%q has the password %q", hash, password)
			}
		}
	}
}

func write(t *testing.T, path, text string, at int64) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, f *File, user, password string, want bool) {
	t.Helper()
	for range 2 { // the second time it may be remembered
		got, err := f.Check(user, []byte(password))
		if err != nil || got != want {
			t.Errorf("%s with %q: %v, %v", user, password, got, err)
		}
	}
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	f := New(path)
	if right, err := f.Check("joe", nil); right || err == nil {
		t.Errorf("no file: %v, %v", right, err)
	}
	write(t, path, "# users\n\n#no:abmF1QH4PEr.E\nno colon\n:abmF1QH4PEr.E\njoe:"+hashes["apr1"][0]+" \r\njoe:abmF1QH4PEr.E\nempty:\nann:"+hashes["MD5"][1], 1)
	check(t, f, "joe", "pässword", true)
	check(t, f, "joe", "", false)
	check(t, f, "ann", "", true)
	check(t, f, "ann", "pässword", false)
	for _, user := range []string{"empty", "", "#no", "no", "nobody"} {
		check(t, f, user, "", false)
		check(t, f, user, "pässword", false)
	}
	check(t, f, "joe", strings.Repeat("x", 1<<20), false)

	write(t, path, "joe:"+hashes["MD5"][1], 2)
	check(t, f, "joe", "pässword", false)
	check(t, f, "joe", "", true)
	check(t, f, "ann", "", false)

	write(t, path+".new", "joe:"+hashes["MD5"][0], 2) // of the same size and time
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	check(t, f, "joe", "", false)
	check(t, f, "joe", "pässword", true)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if right, err := f.Check("joe", []byte("pässword")); right || err == nil {
		t.Errorf("the file has gone: %v, %v", right, err)
	}
}

// One whose password is right is not let in with another's name, though unknown users are compared with a known hash.
func TestTheHashOfAnotherIsNoWayIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, "joe:"+hashes["MD5"][0], 1)
	check(t, New(path), "nobody", "pässword", false)
}

func TestAFileChangesWhileItIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, "joe:"+hashes["MD5"][0], 1)
	f := New(path)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if right, err := f.Check("joe", []byte("wrong")); right || err != nil {
					t.Errorf("%v, %v", right, err)
				}
				if _, err := f.Check("joe", []byte("pässword")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range int64(20) {
		write(t, path+".new", "joe:"+hashes["MD5"][i%2], i)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("joe:abmF1QH4PEr.E\n#x:y\n\n:z\na:b:c"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for user, hash := range parse(text) {
			if user == "" || hash == "" || strings.ContainsAny(user, ":\n") || user[0] == '#' {
				t.Errorf("%q has %q", user, hash)
			}
		}
	})
}

// FuzzVerify: hashes that somebody has written by hand break nothing. Those that would take long are left out.
func FuzzVerify(f *testing.F) {
	for _, of := range hashes {
		f.Add(of[0], "pässword")
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		if len(password) > 100 || strings.Contains(hash, "rounds=") || strings.HasPrefix(hash, "$2") || strings.HasPrefix(hash, "$y") || strings.HasPrefix(hash, "$7") {
			return
		}
		first := verify(hash, []byte(password))
		if again := verify(hash, []byte(password)); again != first {
			t.Errorf("once %v, once %v", first, again)
		}
	})
}
