// Command so is the worker as a C extension of Python (-buildmode=c-shared).
package main

// #cgo LDFLAGS: -ldl
import "C"

import _ "envoxyd/worker"

func main() {}
