package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// packages says which package brings a program. gcc alone compiles nothing: its C library's
// headers come apart.
var packages = map[string][]string{
	"qemu-system-x86_64":    {"qemu-system-x86"},
	"qemu-system-aarch64":   {"qemu-system-arm"},
	"qemu-system-arm":       {"qemu-system-arm"},
	"qemu-system-riscv64":   {"qemu-system-misc"},
	"aarch64-linux-gnu-gcc": {"gcc-aarch64-linux-gnu"},
	"busybox":               {"busybox-static"},
	"cc":                    {"gcc", "libc6-dev"},
	"cpio":                  {"cpio"},
	"losetup":               {"mount"},
	"mandoc":                {"mandoc"},
	"mkfs.ext4":             {"e2fsprogs"},
	"podman":                {"podman"},
	"runc":                  {"runc"},
	"unshare":               {"util-linux"},
}

// A PrivilegeError says what to do by hand where only root may do it.
type PrivilegeError struct {
	Missing []string // programs
	Command string   // to be run as root
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("missing: %s; as root, run: %s",
		strings.Join(e.Missing, " "), e.Command)
}

// install installs the packages of those programs that this machine lacks.
func (f *fetcher) install(programs []string) error {
	var missing, wanted []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		p, ok := packages[program]
		if !ok {
			return fmt.Errorf("program %q is missing and no package is known to have it", program)
		}
		missing = append(missing, program)
		wanted = append(wanted, p...)
	}
	if missing == nil {
		return nil
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	install := append([]string{
		"install", "-y", "-q", "--no-install-recommends",
		// Another apt-get at work is waited for, not fought.
		"-o", "DPkg::Lock::Timeout=300",
	}, wanted...)
	if f.euid != 0 {
		return &PrivilegeError{missing, "apt-get " + strings.Join(install, " ")}
	}
	fmt.Fprintf(f.log, "fetch: installing %s\n", strings.Join(wanted, " "))
	if _, err := f.run("", "apt-get", install...); err == nil {
		return nil
	}
	// No package lists yet, or old ones.
	if _, err := f.run("", "apt-get", "-q", "update"); err != nil {
		return err
	}
	_, err := f.run("", "apt-get", install...)
	return err
}
