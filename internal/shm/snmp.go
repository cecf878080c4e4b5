package shm

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SNMPRoom is how many values applications may set for SNMP; they have the numbers from 1 on.
const SNMPRoom = 100

// SNMPFirst is the cell, counted as metrics are, from which on there are two for each value: the value, and its kind.
// They begin at a page.
const (
	SNMPFirst = MetricsRoom + pageSize/metricSize
	snmpCells = 2 * SNMPRoom
	pageSize  = 4096
)

// SNMPKind is what a value of SNMPValues is. The numbers are SNMP's own.
type SNMPKind uint8

// Kinds of values; 0: it has never been set.
const (
	SNMPCounter32 SNMPKind = 0x41
	SNMPGauge     SNMPKind = 0x42
	SNMPCounter64 SNMPKind = 0x46
)

// SNMPValues are the values that applications set for SNMP. They lie behind the metrics, and are changed as these are:
// at once and without a lock, by any process.
type SNMPValues struct{ memory []byte }

// OpenSNMPValues maps the values behind a descriptor of NewMetricsFile's, which an older master may have made shorter.
func OpenSNMPValues(fd int) (*SNMPValues, error) {
	var is unix.Stat_t
	err := unix.Fstat(fd, &is)
	if end := int64((SNMPFirst + snmpCells) * metricSize); err == nil && is.Size < end {
		err = unix.Ftruncate(fd, end)
	}
	if err != nil {
		return nil, fmt.Errorf("snmp: %w", err)
	}
	memory, err := unix.Mmap(fd, SNMPFirst*metricSize, snmpCells*metricSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("snmp: mmap: %w", err)
	}
	return &SNMPValues{memory}, nil
}

// Get returns the value of a number from 1 to SNMPRoom.
func (v *SNMPValues) Get(number int) (SNMPKind, uint64) {
	kind := SNMPKind(v.cell(2*number - 1).Value.Load())
	return kind, uint64(v.cell(2*number - 2).Value.Load())
}

// Set sets one, as uwsgi.snmp_set_gauge and its kin do.
func (v *SNMPValues) Set(number int, kind SNMPKind, value uint64) {
	v.cell(2*number - 2).Value.Store(int64(value))
	v.cell(2*number - 1).Value.Store(int64(kind))
}

func (v *SNMPValues) cell(number int) *Metric {
	return (*Metric)(unsafe.Pointer(&v.memory[number*metricSize]))
}

// Close unmaps the memory.
func (v *SNMPValues) Close() error { return unix.Munmap(v.memory) }
