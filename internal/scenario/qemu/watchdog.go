package qemu

import (
	"path/filepath"
	"strings"

	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/test/qemu"
)

// softdogFires is what the kernel says when softdog resets the machine (drivers/watchdog/softdog.c).
const softdogFires = "softdog: Initiating system reboot"

// strangeWatchdog says which of a scenario's watchdogs a virtual machine does not have, or "". The
// kernels that are here are those for clouds: of the devices that QEMU has, they know none.
func strangeWatchdog(all []scenario.Watchdog) string {
	for _, w := range all {
		switch {
		case w.Driver != "softdog":
			return "its kernel has no driver for the watchdog " + w.Driver
		case w.Running:
			return "softdog is a timer of the kernel's, which no firmware starts"
		}
	}
	if len(all) > 1 {
		return "there is one softdog"
	}
	return ""
}

// drivers are the modules that the stage loads, in this order.
func drivers(s *scenario.Scenario) []stage.Driver {
	if len(s.Machine.Watchdogs) == 0 {
		return nil
	}
	params := ""
	if s.Machine.Watchdogs[0].NoWayOut {
		params = "nowayout=1"
	}
	return []stage.Driver{{Path: "/watchdog.ko"}, {Path: "/softdog.ko", Params: params}}
}

// driverFile is the file of a module that the stage loads from a path, or "" if it is not there.
func driverFile(arch, path string) string {
	all, _ := filepath.Glob(filepath.Join(qemu.BuildDir(), "kernels", arch, "lib/modules/*/kernel/drivers/watchdog",
		strings.TrimPrefix(path, "/")))
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
