package crash

import (
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestKernelsHaveTheirSettings: a setting is refused for a kernel if, and only if, the model of that
// kernel lacks it, and so says what people read of it (knob.About).
func TestKernelsHaveTheirSettings(t *testing.T) {
	explained := 0
	for _, name := range simkernel.Kernels() {
		k, err := kernelNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range append(simkernel.Sysctls(), simkernel.Parameters()...) {
			has := simkernel.HasSetting(name, setting)
			on := only[setting]
			if refused := k.is < came[setting] || on != "" && k.arch != on; has == refused {
				t.Errorf("%s: %s: refused %t, but the model has it: %t", name, setting, refused, has)
			}
			of := knob.ByName(setting)
			if of == nil {
				continue
			}
			explained++
			about := of.About()
			from := versionOf(about.Since)
			for older := range strings.SplitSeq(about.Older, ", ") {
				// A stable release has got it: here a profile is the newest of its version.
				if v := versionOf(older); v != 0 && v>>8 <= k.is>>8 {
					from = min(from, v&^0xff)
				}
			}
			explains := k.is >= from && (about.On != "x86" || k.arch == x86)
			if explains != has {
				t.Errorf("%s: %s: About says since %q (%q) on %q, but the model has it: %t", name, setting,
					about.Since, about.Older, about.On, has)
			}
		}
	}
	if least := 30 * len(simkernel.Kernels()); explained < least {
		t.Errorf("only %d settings of all kernels are explained, want %d", explained, least)
	}
}

func versionOf(text string) version {
	var numbers [3]int
	for i, n := range strings.SplitN(text, ".", len(numbers)) {
		numbers[i], _ = strconv.Atoi(n)
	}
	return v(numbers[0], numbers[1], numbers[2])
}

// TestKnobsTakeWhatTheModelTakes: the bounds that people read of are not wider than those of the model.
func TestKnobsTakeWhatTheModelTakes(t *testing.T) {
	compared := 0
	for _, k := range knob.Table() {
		check := simkernel.CheckParameter
		switch {
		case simkernel.HasSysctl(k.Name):
			check = simkernel.CheckSysctl
		case knob.Parameter != k.Place:
			continue
		}
		var values []string
		if k.Kind == knob.Number || k.Kind == knob.Seconds || k.Kind == knob.Mask {
			values = []string{strconv.FormatInt(k.Min, 10), strconv.FormatInt(k.Max, 10)}
		}
		if k.Kind != knob.Mask && k.Words != "" {
			for w := range strings.SplitSeq(k.Words, ",") {
				if _, v, ok := strings.Cut(w, "="); ok {
					values = append(values, v)
				}
			}
		}
		for _, value := range values {
			err := check(k.Name, value)
			if err != nil && strings.Contains(err.Error(), "no parameter") {
				break
			}
			compared++
			// cad_pid wants a process, and the limits and the switch only go one way.
			if err != nil && k.Name != "kernel.cad_pid" && !strings.HasPrefix(k.Name, "kernel.kexec_load") {
				t.Errorf("%s = %s: the model takes it not: %v", k.Name, value, err)
			}
		}
	}
	if least := 30; compared < least {
		t.Errorf("compared %d values, want %d at least", compared, least)
	}
}
