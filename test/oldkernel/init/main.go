// Init is a PID 1 that makes the kernel look like an older one and then executes /sbin/init. The
// version is what stands behind the last dash of its own name: a machine that is booted with
// rdinit=/linux-5.1 has a Linux 5.1.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/rebound-init/rebound/test/oldkernel"
)

func main() {
	name := os.Args[0]
	version := name[strings.LastIndexByte(name, '-')+1:]
	err := oldkernel.Exec(version, "/sbin/init", append([]string{"init"}, os.Args[1:]...))
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(1)
}
