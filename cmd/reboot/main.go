// Command reboot is reboot, halt and poweroff, by the name it is called. The image has no copy of
// it: there the init program serves these names with the same code.
package main

import (
	"os"

	"github.com/rebound-init/rebound/internal/halt"
)

// version is set by the linker (-X main.version=...).
var version = "devel"

func main() {
	os.Exit(halt.Main(os.Args, version, os.Stdout, os.Stderr))
}
