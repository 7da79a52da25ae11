package crash

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestRandomFailures plays failures on machines drawn by chance, until the model has done ten
// million steps, as simkernel.Machine.Steps counts them. No play may panic, go on without an end, or
// differ from a second play of the same Spec.
func TestRandomFailures(t *testing.T) {
	steps := uint64(10_000_000)
	if testing.Short() {
		steps = 500_000
	}
	from := lot{Failures(), Settings()}
	var done uint64
	plays := 0
	ends := make(map[Ending]int)
	failed := make(map[string]int)
	for seed := uint64(1); done < steps; seed++ {
		spec := from.randomSpec(seed)
		r, err := playSafely(spec)
		if err != nil {
			t.Fatalf("seed %d: %+v:\n%v", seed, spec, err)
		}
		done += r.Steps
		plays++
		ends[r.Verdict.Ending]++
		failed[spec.Failure]++
		if why := implausible(r); why != "" {
			t.Fatalf("seed %d: %+v: %s:\n%+v", seed, spec, why, r)
		}
		const again = 2
		if seed%again != 0 {
			continue
		}
		second, err := playSafely(spec)
		if err != nil {
			t.Fatalf("seed %d: %+v: the second time:\n%v", seed, spec, err)
		}
		if !reflect.DeepEqual(r, second) {
			t.Fatalf("seed %d: %+v: two plays differ:\n%+v\n%+v", seed, spec, r, second)
		}
		done += second.Steps
	}
	t.Logf("%d steps, %d plays, %v", done, plays, ends)
	for _, f := range Failures() {
		if failed[f.Name] == 0 {
			t.Errorf("%s has not been played", f.Name)
		}
	}
}

// playSafely plays a Spec that is right. The error tells of a panic, too.
func playSafely(spec Spec) (r *Report, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return Play(spec)
}

// most is how many steps a play may need.
const most = 1_000_000

// implausible says what cannot be so, whatever has been played.
func implausible(r *Report) string {
	v := &r.Verdict
	switch {
	case r.Steps > most:
		return strconv.FormatUint(r.Steps, 10) + " steps"
	case v.At < r.At && v.Ending != Survived:
		return "it has ended before it failed"
	case v.Back != Never && (v.Ending == Hung || v.Ending == Survived):
		return "it is back without having gone"
	case v.Back == Never && (v.Ending == Restarted || v.Ending == Rescued || v.Ending == Captured):
		return "it has gone and is not back"
	case v.Back != Never && v.Back < Span(v.At):
		return "it is back before it has gone"
	case v.Cause == "" && v.Ending != Survived && v.Ending != Rescued:
		return "it has ended for no reason"
	}
	for i, l := range r.Lines {
		if i > 0 && l.At < r.Lines[i-1].At {
			return "time goes back at " + l.Text
		}
	}
	return ""
}

// lot is what specs are drawn from.
type lot struct {
	failures []Failure
	settings []string
}

// randomSpec is one that can be played.
func (l *lot) randomSpec(seed uint64) Spec {
	rng := rand.New(rand.NewPCG(seed, 1))
	all := l.failures
	f := all[rng.IntN(len(all))]
	spec := Spec{
		Failure: f.Name, Kernel: f.Kernels[rng.IntN(len(f.Kernels))],
		CPUs: 1 + rng.IntN(4)*rng.IntN(3), Seed: rng.Uint64() % 5,
	}
	k, err := kernelNamed(spec.Kernel)
	if err != nil {
		panic(err)
	}
	// Both work on megabytes, which is not what is counted.
	const seldom = 256
	spec.CrashKernel = rng.IntN(seldom) == 0 && k.arch != mips
	spec.Ramoops = rng.IntN(seldom) == 0 && k.is >= v(3, 5, 0)
	for range rng.IntN(5) - 2 {
		drivers := simkernel.WatchdogDrivers()
		w := Watchdog{
			Name:    drivers[rng.IntN(len(drivers))],
			Timeout: time.Duration(1+rng.IntN(40)) * time.Second, Pretimeout: time.Duration(rng.IntN(20)) * time.Second,
		}
		if w.check(k) == nil && (f.Name != "pretimeout" || w.Timeout > time.Second) {
			spec.Watchdogs = append(spec.Watchdogs, w)
		}
	}
	for range rng.IntN(5) {
		s := Setting{l.randomName(rng), randomValue(rng)}
		if (&play{}).set(k, s) == nil {
			spec.Settings = append(spec.Settings, s)
		}
	}
	// What has been survived once may not be the next time. Not all can follow another one.
	for range rng.IntN(8) - 5 {
		more := spec
		more.Then = append(slices.Clone(spec.Then), all[rng.IntN(len(all))].Name)
		if _, err := prepare(more); err == nil {
			spec = more
		}
	}
	return spec
}

// matters are the settings of which much depends.
var matters = []string{
	"panic", "panic_on_oops", "panic_on_warn", "oops_limit", "warn_limit", "softlockup_panic",
	"hung_task_panic", "crash_kexec_post_notifiers", "reboot", "quiet", "nokaslr", "panic_print",
	"unknown_nmi_panic", "panic_on_rcu_stall", "vm.panic_on_oom", "tainted", "sysrq",
	"watchdog_thresh", "hardlockup_panic", "printk.always_kmsg_dump",
}

func (l *lot) randomName(rng *rand.Rand) string {
	if names := l.settings; rng.IntN(4) == 0 {
		return names[rng.IntN(len(names))]
	}
	return matters[rng.IntN(len(matters))]
}

func randomValue(rng *rand.Rand) string {
	words := []string{
		"", "", "0", "1", "1", "1", "2", "5", "-1", "60", "Y", "N", "panic", "force", "warm", "panic_warm",
		"t", "2147484", "2147483647", "-2147483648", "4294967295",
	}
	if rng.IntN(3) == 0 {
		return strconv.Itoa(rng.IntN(10000))
	}
	return words[rng.IntN(len(words))]
}

// TestRandomSpecsVary: what the property test draws is worth drawing.
func TestRandomSpecsVary(t *testing.T) {
	from := lot{Failures(), Settings()}
	var kernels, cpus, settings []string
	then := 0
	for seed := range uint64(3000) {
		spec := from.randomSpec(seed)
		kernels = append(kernels, spec.Kernel)
		cpus = append(cpus, strconv.Itoa(spec.CPUs))
		for _, s := range spec.Settings {
			settings = append(settings, s.Name)
		}
		then += len(spec.Then)
	}
	different := func(words []string) int {
		slices.Sort(words)
		return len(slices.Compact(words))
	}
	if n := different(kernels); n != len(simkernel.Kernels()) {
		t.Errorf("kernels: got %d, want %d", n, len(simkernel.Kernels()))
	}
	if n := different(cpus); n < 4 {
		t.Errorf("numbers of CPUs: got %d, want 4 at least", n)
	}
	if then < 100 {
		t.Errorf("further failures: got %d, want 100 at least", then)
	}
	if n := different(settings); n < len(matters) {
		t.Errorf("settings: got %d, want %d at least", n, len(matters))
	}
}
