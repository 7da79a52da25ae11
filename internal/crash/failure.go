package crash

import (
	"slices"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Failure is a way for a kernel to fail.
type Failure struct {
	Name string `json:"name"`
	// Means is what it is, in a line; Caused is how it comes about in the model.
	Means  string `json:"means"`
	Caused string `json:"caused"`
	// Kernels are the profiles that know it.
	Kernels []string `json:"kernels"`
}

// failure is one with what makes it happen.
type failure struct {
	Failure
	// since is the first version that has it, on the architectures of on; all if it is empty.
	since version
	on    []arch
	// why says what the others lack.
	why string
	// plan puts it down.
	plan func(p *play, m *simkernel.Machine)
}

// lacks says why a kernel does not know it, or nothing.
func (f *failure) lacks(k *profile) string {
	switch {
	case k.is < f.since:
		return "it needs Linux " + f.since.String() + " or later"
	case len(f.on) > 0 && !slices.Contains(f.on, k.arch):
		return f.why
	}
	return ""
}

// failures are all of them.
var failures = []failure{
	{
		Failure: Failure{
			Name: "panic", Means: "the kernel calls panic()",
			Caused: "a thread of the kernel calls it on the first CPU",
		},
		plan: kernelFails(simkernel.PanicCall{Text: "a driver has called panic()"}),
	},
	{
		Failure: Failure{
			Name: "double-panic", Means: "two CPUs panic at once, or a panic panics",
			Caused: "the second CPU calls panic() when the first has; with one CPU a panic " +
				"notifier does",
		},
		plan: kernelFails(simkernel.PanicTwice{
			First: "a driver has called panic()", Second: "another driver has, too",
		}),
	},
	{
		Failure: Failure{
			Name: "init-death", Means: "PID 1 ends", Caused: "PID 1 exits with status 1",
		},
		plan: func(p *play, _ *simkernel.Machine) {
			p.pid1 = func(k kernel.Kernel) int {
				pauseUntil(k, p.at)
				return 1
			}
		},
	},
	{
		Failure: Failure{
			Name: "sysrq-b", Means: "SysRq b: restart at once", Caused: sysrqCaused("b"),
		},
		plan: sysrq("b"),
	},
	{
		Failure: Failure{
			Name: "sysrq-c", Means: "SysRq c: crash on purpose", Caused: sysrqCaused("c"),
		},
		plan: sysrq("c"),
	},
}

// Failures lists them, in the order of their names.
func Failures() []Failure {
	all := make([]Failure, 0, len(failures))
	for i := range failures {
		f := failures[i].Failure
		for _, name := range simkernel.Kernels() {
			if k, err := kernelNamed(name); err == nil && failures[i].lacks(k) == "" {
				f.Kernels = append(f.Kernels, name)
			}
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return all
}

// failureNamed finds one.
func failureNamed(name string) (*failure, error) {
	names := make([]string, len(failures))
	for i := range failures {
		if failures[i].Name == name {
			return &failures[i], nil
		}
		names[i] = failures[i].Name
	}
	return nil, unknown("failure", name, names)
}

// kernelFails lets the kernel fail on the first CPU.
func kernelFails(how simkernel.Failure) func(*play, *simkernel.Machine) {
	return func(p *play, m *simkernel.Machine) { m.At(p.at, simkernel.Fail{How: how}) }
}

// sysrq lets PID 1 write a key to /proc/sysrq-trigger.
func sysrq(key string) func(*play, *simkernel.Machine) {
	return func(p *play, _ *simkernel.Machine) {
		p.pid1 = func(k kernel.Kernel) int {
			pauseUntil(k, p.at)
			// The kernel does what it does; there is nobody to tell an error.
			_ = k.SetProc("sysrq-trigger", key)
			return idle(k)
		}
	}
}

func sysrqCaused(key string) string { return "PID 1 writes " + key + " to /proc/sysrq-trigger" }

// pauseUntil waits.
func pauseUntil(k kernel.Kernel, at time.Duration) {
	for k.Now() < at {
		k.Next(at)
	}
}
