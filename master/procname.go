package master

import (
	"os"
	"strings"
	"unsafe"

	"envoxyd/uwsgiopts"
)

// workerName is what ps is to show for workers, with a NUL for the number; "" leaves it alone.
func workerName(cfg *uwsgiopts.Config) string {
	switch {
	case cfg.Procname != "":
		return cfg.ProcnamePrefix + cfg.Procname + cfg.ProcnameAppend
	case cfg.AutoProcname || cfg.ProcnamePrefix != "" || cfg.ProcnameAppend != "":
		return cfg.ProcnamePrefix + "uWSGI worker \x00" + cfg.ProcnameAppend
	}
	return ""
}

func masterName(cfg *uwsgiopts.Config) string {
	switch {
	case cfg.ProcnameMaster != "":
		return cfg.ProcnameMaster
	case cfg.Procname != "":
		return cfg.ProcnamePrefix + cfg.Procname + cfg.ProcnameAppend
	case workerName(cfg) != "":
		return cfg.ProcnamePrefix + "uWSGI master" + cfg.ProcnameAppend
	}
	return ""
}

// setName writes name over the command line that ps shows, as far as that has room.
func setName(name string) {
	if name == "" || len(os.Args) == 0 {
		return
	}
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := unsafe.StringData(first)
	end := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last))
	size := int(end - uintptr(unsafe.Pointer(start)))
	if size <= 0 || size > 1<<20 {
		return
	}
	for i, arg := range os.Args { // they are about to be written over
		os.Args[i] = strings.Clone(arg)
	}
	room := unsafe.Slice((*byte)(unsafe.Pointer(start)), size)
	n := copy(room, name)
	clear(room[n:])
}
