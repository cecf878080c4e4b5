package layout

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
)

func TestFilesAreWhatTheDeclarationsSay(t *testing.T) {
	for file, write := range map[string]func() ([]byte, error){
		"../../worker/python/envoxyd_worker/layouts.py": Python,
		"../../worker/shared/layout.h":                  C,
	} {
		want, err := write()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date: run make docs", file)
		}
	}
}

func TestFormatsOfStructs(t *testing.T) {
	type odd struct {
		First     uint8
		UserValue atomic.Uint64 // seven bytes behind
		QoS       uint16
		_         [3]byte
		ID        [5]byte
	}
	format, fields, err := describe(reflect.TypeFor[odd]())
	if want := "<B7xQH3x5s6x"; err != nil || format != want {
		t.Errorf("%s, %v; want %s", format, err, want)
	}
	if want := []string{"first", "user_value", "qos", "id"}; !slices.Equal(fields, want) {
		t.Errorf("fields %v, want %v", fields, want)
	}
	if _, _, err := describe(reflect.TypeFor[struct{ A string }]()); err == nil {
		t.Error("a string has no layout")
	}
}
