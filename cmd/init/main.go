// Command init is PID 1. Under the names reboot, halt and poweroff it is those commands, so that an
// image holds one Go runtime.
package main

import (
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/rebound-init/rebound/internal/halt"
	"github.com/rebound-init/rebound/internal/linux"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/utmp"
)

// version is set by the Makefile.
var version = "development"

func main() {
	name := strings.TrimPrefix(path.Base(os.Args[0]), "-")
	switch name {
	case "reboot", "halt", "poweroff":
		os.Exit(halt.Main(os.Args, version, os.Stdout, os.Stderr))
	}
	// linuxrc is init on an old-style initrd, where it is not PID 1 [BusyBox 1.7].
	linuxrc := os.Getpid() != 1 && strings.HasPrefix(name, "linuxrc")
	if os.Getpid() != 1 && !linuxrc {
		os.Exit(tool(os.Args[1:], os.Stdout, os.Stderr))
	}

	k := linux.Open()
	layout, _ := utmp.LayoutOf(runtime.GOARCH)
	state := k.State()
	in := pid1.New(k, pid1.Options{
		Args:     os.Args[1:],
		Env:      k.Environ(),
		Linuxrc:  linuxrc,
		Utmp:     layout,
		NoSyslog: k.NoSyslog,
		State:    state,
	})
	os.Exit(k.Guard(func() int {
		// As PID 1 these say what they have to say, and the boot goes on: its end would be
		// a panic.
		if state == nil && len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "--") {
			tool(os.Args[1:], os.Stdout, os.Stderr)
		}
		return in.Run()
	}, in.Snapshot))
}
