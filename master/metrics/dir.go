package metrics

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"envoxyd/internal/paths"
	"envoxyd/master/stats"
)

// fileSize is how large the file of a metric is, as uWSGI's: the number, a newline, and zeros.
const fileSize = 4096

// Dir is a directory with a file for each metric (--metrics-dir).
type Dir struct {
	path    string
	written map[string]int64
}

func newDir(path string) *Dir { return &Dir{path, map[string]int64{}} }

// in is a path of the configuration's, which may be "".
func in(dir, path string) string {
	if path == "" {
		return ""
	}
	return paths.In(dir, path)
}

func (d *Dir) file(name string) string {
	return filepath.Join(d.path, strings.ReplaceAll(name, "/", "_")) // a name is no path
}

func (d *Dir) read(name string) (int64, error) { return readNumber(d.file(name)) }

// write brings the files of those that have changed up to date. A reader sees the old number or the new one.
// The error is the first of them: what one file suffers from, all do.
func (d *Dir) write(all []stats.Metric) (failed error) {
	if len(d.written) == 0 {
		_ = os.Mkdir(d.path, 0o750) // it is there already, or opening the files tells why not
	}
	for _, m := range all {
		if last, ok := d.written[m.Name]; ok && last == m.Value {
			continue
		}
		if err := d.writeOne(m.Name, m.Value); err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		d.written[m.Name] = m.Value
	}
	return failed
}

func (d *Dir) writeOne(name string, value int64) error {
	file, err := os.OpenFile(d.file(name), os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer file.Close()
	var content [64]byte
	copy(content[:], fmt.Sprintf("%d\n", value))
	if _, err := file.WriteAt(content[:], 0); err != nil {
		return err
	}
	return file.Truncate(fileSize)
}
