package layout

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"envoxyd/internal/shm"
)

//go:generate go run ./gen ../../worker/shared/layout.h

// cStructs are written down for the C that shares them; one that is part of another comes before it.
var cStructs = []struct {
	name string
	of   reflect.Type
}{
	{"lock", reflect.TypeFor[shm.Lock]()},
	{"head", reflect.TypeFor[shm.Head]()},
	{"area_head", reflect.TypeFor[shm.AreaHead]()},
	{"cache_geometry", reflect.TypeFor[shm.CacheGeometry]()},
	{"cache_reads", reflect.TypeFor[shm.CacheReads]()},
	{"cache_head", reflect.TypeFor[shm.CacheHead]()},
	{"cache_item", reflect.TypeFor[shm.CacheItem]()},
	{"queue_head", reflect.TypeFor[shm.QueueHead]()},
	{"metric", reflect.TypeFor[shm.Metric]()},
}

var cConstants = []struct {
	name string
	is   uint64
}{
	{"HEAD_SIZE", shm.HeadSize},
	{"MAX_AREAS", shm.MaxAreas},
	{"AREA_READERS", shm.AreaReaders},
	{"AREA_STRIDE", shm.AreaStride},
	{"LOCKS_OFFSET", shm.LocksOffset},
	{"CACHE_READ_COUNTERS", shm.CacheReadCounters},
	{"LOCKS_MAGIC", shm.LocksMagic},
	{"CACHE_MAGIC", shm.CacheMagic},
	{"QUEUE_MAGIC", shm.QueueMagic},
}

const cHead = `/* What C and Go share: the memory of the uwsgi module.

   Written by internal/layout from the declarations in Go. Do not edit: ` + "`make docs`" + ` writes it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

`

// C is the header layout.h.
func C() ([]byte, error) {
	var to bytes.Buffer
	to.WriteString(cHead)
	for _, c := range cConstants {
		fmt.Fprintf(&to, "#define %s %#xULL\n", c.name, c.is)
	}
	for _, s := range cStructs {
		if err := cStruct(&to, s.name, s.of); err != nil {
			return nil, err
		}
	}
	return to.Bytes(), nil
}

// cStruct writes a struct whose fields are checked to be where Go has them.
func cStruct(to *bytes.Buffer, name string, t reflect.Type) error {
	fmt.Fprintf(to, "\nstruct %s {\n", name)
	var checks strings.Builder
	for i := range t.NumField() {
		field := t.Field(i)
		kind, count := field.Type, ""
		if kind.Kind() == reflect.Array {
			count = fmt.Sprintf("[%d]", kind.Len())
			kind = kind.Elem()
		}
		member := snake(field.Name)
		if field.Name == "_" {
			member = fmt.Sprintf("unused_%d", i)
		}
		code, err := cType(kind)
		if err != nil {
			return fmt.Errorf("%v.%s: %w", t, field.Name, err)
		}
		fmt.Fprintf(to, "    %s %s%s;\n", code, member, count)
		fmt.Fprintf(&checks, "_Static_assert(offsetof(struct %s, %s) == %d, \"as in Go\");\n", name, member, field.Offset)
	}
	fmt.Fprintf(to, "};\n%s_Static_assert(sizeof(struct %s) == %d, \"as in Go\");\n", checks.String(), name, t.Size())
	return nil
}

func cType(t reflect.Type) (string, error) {
	switch t {
	case reflect.TypeFor[uint8]():
		return "uint8_t", nil
	case reflect.TypeFor[atomic.Uint32]():
		return "uint32_t", nil
	case reflect.TypeFor[atomic.Int64]():
		return "int64_t", nil
	case reflect.TypeFor[uint64](), reflect.TypeFor[atomic.Uint64]():
		return "uint64_t", nil
	}
	for _, s := range cStructs {
		if s.of == t {
			return "struct " + s.name, nil
		}
	}
	return "", fmt.Errorf("no C type for %v", t)
}
