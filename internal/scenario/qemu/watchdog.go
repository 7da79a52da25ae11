package qemu

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/test/qemu"
)

// softdogFires is what the kernel says when softdog resets the machine (drivers/watchdog/softdog.c).
const softdogFires = "softdog: Initiating system reboot"

// hardware is the watchdog that QEMU has as a device, by the name that QEMU and the kernel give it.
const hardware = "i6300esb"

// strangeWatchdog says which of a scenario's watchdogs a virtual machine does not have, or "".
func strangeWatchdog(s *scenario.Scenario, arch string) string {
	all := s.Machine.Watchdogs
	for _, w := range all {
		switch {
		case w.Driver != "softdog" && w.Driver != hardware:
			return "it has no watchdog " + w.Driver
		case w.Running:
			return "no firmware starts its watchdogs"
		}
	}
	switch {
	case len(all) > 1:
		return "it has one watchdog at a time"
	case len(all) == 0:
		return ""
	case driverFile(s, arch, all[0].Driver) == "":
		// Debian's small kernel has no driver of QEMU's device, but the one for all machines has.
		return "its kernel has no driver " + all[0].Driver + ": `make deps` fetches one that has"
	}
	return ""
}

// hasHardware reports whether a machine has the watchdog that is a device.
func hasHardware(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Machine.Watchdogs, func(w scenario.Watchdog) bool {
		return w.Driver == hardware
	})
}

// tree is the kernel that a scenario needs, by its name among those that are fetched.
func tree(s *scenario.Scenario, arch string) string {
	if hasHardware(s) {
		return arch + "-generic"
	}
	return arch
}

// drivers are the modules that the stage loads, in this order, and where they are to lie.
func drivers(s *scenario.Scenario) []stage.Driver {
	if len(s.Machine.Watchdogs) == 0 {
		return nil
	}
	w := s.Machine.Watchdogs[0]
	params := ""
	if w.NoWayOut {
		params = "nowayout=1"
	}
	return []stage.Driver{{Path: "/watchdog.ko"}, {Path: "/" + w.Driver + ".ko", Params: params}}
}

// driverFile is the file of a module that a scenario needs, or "" if it is not there.
func driverFile(s *scenario.Scenario, arch, name string) string {
	all, _ := filepath.Glob(filepath.Join(qemu.BuildDir(), "kernels", tree(s, arch),
		"lib/modules/*/kernel/drivers/watchdog", strings.TrimSuffix(name, ".ko")+".ko"))
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
