package crash

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/nearest"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// profile is a kernel as its name says it: linux-VERSION-ARCHITECTURE.
type profile struct {
	name string
	is   version
	arch arch
}

// version is a version of Linux, as KERNEL_VERSION() counts.
type version int

func v(major, minor, patch int) version { return version(major<<16 | minor<<8 | patch) }

// String is the version as people write it.
func (v version) String() string {
	major, minor, patch := int(v>>16), int(v>>8&0xff), int(v&0xff)
	if patch == 0 {
		return fmt.Sprintf("%d.%d", major, minor)
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

// arch is an architecture, as far as failures differ.
type arch string

const (
	x86   arch = "x86"
	arm   arch = "arm"
	arm64 arch = "arm64"
	mips  arch = "mips"
)

// kernelNamed finds a profile.
func kernelNamed(name string) (*profile, error) {
	all := simkernel.Kernels()
	if !slices.Contains(all, name) {
		// A version or an architecture alone is what comes to mind first.
		var near []string
		for _, k := range all {
			if strings.Contains(k, name) {
				near = append(near, strconv.Quote(k))
			}
		}
		if len(near) > 0 && name != "" {
			return nil, fmt.Errorf("unknown kernel %q: did you mean %s?", name, strings.Join(near, " or "))
		}
		return nil, unknown("kernel", name, all)
	}
	words := strings.SplitN(name, "-", 3)
	k := &profile{name: name}
	var numbers [3]int
	for i, n := range strings.SplitN(words[1], ".", len(numbers)) {
		numbers[i], _ = strconv.Atoi(n)
	}
	k.is = v(numbers[0], numbers[1], numbers[2])
	switch machine, _, _ := strings.Cut(words[2], "-"); machine {
	case "arm64":
		k.arch = arm64
	case "arm":
		k.arch = arm
	case "mips":
		k.arch = mips
	default:
		k.arch = x86
	}
	return k, nil
}

// unknown is the error for a name that is not there.
func unknown(kind, name string, known []string) error {
	if w := nearest.Word(name, known); w != "" {
		return fmt.Errorf("unknown %s %q: did you mean %q?", kind, name, w)
	}
	const few = 12
	if len(known) <= few {
		return fmt.Errorf("unknown %s %q: expected one of %s", kind, name, strings.Join(known, ", "))
	}
	return fmt.Errorf("unknown %s %q: `simboot crash -list` names all", kind, name)
}
