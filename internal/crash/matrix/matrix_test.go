package matrix

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// machines are a few of each kernel: as it is, as people set it, and with all that can keep evidence.
func machines(kernel string) []crash.Spec {
	set := func(words ...string) []crash.Setting {
		var all []crash.Setting
		for _, w := range words {
			name, value, _ := strings.Cut(w, "=")
			all = append(all, crash.Setting{Name: name, Value: value})
		}
		return all
	}
	all := []crash.Spec{
		{Kernel: kernel},
		{Kernel: kernel, CPUs: 2, Settings: set("panic=10")},
		{Kernel: kernel, CPUs: 2, Settings: set("panic=10", "panic_on_oops=1")},
		{Kernel: kernel, CPUs: 2, Watchdogs: []crash.Watchdog{{Name: "i6300esb", Timeout: 30 * time.Second}}},
		{Kernel: kernel, CPUs: 2, Watchdogs: []crash.Watchdog{{Name: "softdog", Timeout: 8 * time.Second}}},
	}
	old := strings.Contains(kernel, "-2.6.") || strings.Contains(kernel, "-3.")
	if old && !strings.Contains(kernel, "mips") || kernel == simkernel.Kernels()[0] {
		all = append(all, crash.Spec{Kernel: kernel, CPUs: 2, CrashKernel: true})
	}
	if !old {
		all = append(all, crash.Spec{Kernel: kernel, CPUs: 2, Ramoops: true, Settings: set("panic=1")},
			crash.Spec{
				Kernel: kernel, CPUs: 2, CrashKernel: true,
				Settings: set("crash_kexec_post_notifiers=1", "panic_on_warn=1", "softlockup_panic=1",
					"hung_task_panic=1", "panic_on_rcu_stall=1"),
			})
	}
	return all
}

// everything calls f for each failure on each of the machines, with its play.
func everything(t *testing.T, f func(spec crash.Spec, row *Row, r *crash.Report)) {
	t.Helper()
	const least = 2500
	n := 0
	for _, kernel := range simkernel.Kernels() {
		for _, spec := range machines(kernel) {
			m := Machine{Spec: spec}
			rows, err := Of(m)
			if err != nil {
				t.Fatalf("%+v: %v", spec, err)
			}
			for i := range rows {
				spec := m.For(rows[i].Failure)
				r, err := crash.Play(spec)
				if err != nil {
					t.Fatal(err)
				}
				n++
				f(spec, &rows[i], r)
			}
		}
	}
	if n < least {
		t.Errorf("plays: got %d, want %d at least", n, least)
	}
}

// TestMatrix holds each row against a play of its own, and its parts against each other. It is one test
// because all those plays take their time.
func TestMatrix(t *testing.T) {
	play, steps := asThePlaySays(t), haveWords(t)
	everything(t, func(spec crash.Spec, row *Row, r *crash.Report) {
		play.see(spec, row, r)
		steps.see(spec, row, r)
		fits(t, spec, row)
	})
	play.end()
	steps.end()
}

// check looks at each row, and at the end at what it has seen.
type check struct {
	see func(spec crash.Spec, row *Row, r *crash.Report)
	end func()
}

// asThePlaySays: the matrix adds nothing to the play, and leaves nothing out.
func asThePlaySays(t *testing.T) check {
	t.Helper()
	endings := map[crash.Ending]Outcome{
		crash.Survived: GoesOn, crash.Restarted: ComesBack, crash.Rescued: ComesBack,
		crash.Captured: Captured, crash.Off: PowersOff, crash.Halted: Halts, crash.Hung: Hangs,
	}
	seen := make(map[Outcome]bool)
	return check{func(spec crash.Spec, row *Row, r *crash.Report) {
		v := &r.Verdict
		seen[row.Outcome] = true
		if want := endings[v.Ending]; row.Outcome != want {
			t.Errorf("%+v: outcome\ngot  %v\nwant %v", spec, row.Outcome, want)
		}
		back := Never
		if row.Outcome == ComesBack || row.Outcome == Captured {
			back = Span(time.Duration(v.Back) - r.At)
		}
		if row.Back != back {
			t.Errorf("%+v: back\ngot  %v\nwant %v", spec, row.Back, back)
		}
		if len(row.Evidence) != len(v.Evidence) ||
			len(v.Evidence) > 0 && !reflect.DeepEqual(row.Evidence, v.Evidence) {
			t.Errorf("%+v: evidence\ngot  %v\nwant %v", spec, row.Evidence, v.Evidence)
		}
		if row.Cause != v.Cause {
			t.Errorf("%+v: cause\ngot  %q\nwant %q", spec, row.Cause, v.Cause)
		}
		if (v.Watchdog != "") != strings.HasPrefix(row.By, "watchdog ") || !strings.HasSuffix(row.By, v.Watchdog) {
			t.Errorf("%+v: by\ngot  %q\nwant %q", spec, row.By, v.Watchdog)
		}
	}, func() {
		for _, o := range []Outcome{Hangs, PowersOff, GoesOn, ComesBack, Captured} {
			if !seen[o] {
				t.Errorf("no failure %v: the machines do not show it", o)
			}
		}
	}}
}

// haveWords: whoever adds a step to a kernel says what it does.
func haveWords(t *testing.T) check {
	t.Helper()
	used := make(map[string]bool)
	return check{func(spec crash.Spec, row *Row, _ *crash.Report) {
		for _, s := range row.Steps {
			if s.Does == "" && !used[s.Name] {
				t.Errorf("%s, %s: step %q has no words", spec.Kernel, spec.Failure, s.Name)
			}
			used[s.Name] = true
		}
	}, func() {
		for name := range words {
			// What takes more than these machines.
			switch name {
			case "nmi_backtrace", "watchdog_overflow_callback":
				continue
			}
			if !used[name] {
				t.Errorf("step %q has words, and no kernel takes it", name)
			}
		}
	}}
}

// fits: steps and phases are in order, lie within each other, and end when the machine does.
func fits(t *testing.T, spec crash.Spec, row *Row) {
	t.Helper()
	at := Span(0)
	for i, s := range row.Steps {
		if s.Depth < 0 || i == 0 && s.Depth != 0 || i > 0 && s.Depth > row.Steps[i-1].Depth+1 {
			t.Errorf("%+v: step %s lies %d deep", spec, s.Name, s.Depth)
		}
		if s.At < at || s.Takes < 0 {
			t.Errorf("%+v: step %s is at %v and takes %v, after one at %v", spec, s.Name, s.At, s.Takes, at)
		}
		at = s.At
	}
	end := Span(0)
	for _, p := range row.Phases {
		if p.From != end || p.To <= p.From {
			t.Errorf("%+v: phase %s is from %v to %v, after %v", spec, p.Kind, p.From, p.To, end)
		}
		end = p.To
	}
	if want := row.After; want != end {
		t.Errorf("%+v: phases end\ngot  %v\nwant %v: %+v", spec, end, want, row.Phases)
	}
}

func TestEveryFailureHasAFamily(t *testing.T) {
	known := make(map[Family]bool)
	for _, f := range Families() {
		known[f] = true
	}
	for _, f := range crash.Failures() {
		if got := FamilyOf(f.Name); !known[got] || got == Others {
			t.Errorf("failure %s is of no family", f.Name)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[Span][2]string{
		0: {"0s", "0"}, Never: {"never", "null"}, Span(10 * time.Second): {"10s", "10"},
		Span(90 * time.Second): {"1m30s", "90"}, Span(2 * time.Minute): {"2m", "120"},
		Span(70 * time.Second): {"1m10s", "70"}, Span(time.Hour): {"1h", "3600"},
		Span(1500 * time.Millisecond): {"1.5s", "1.5"}, Span(20 * time.Millisecond): {"20ms", "0.02"},
		Span(time.Hour + 5*time.Second): {"1h0m5s", "3605"},
	} {
		if got := d.String(); got != want[0] {
			t.Errorf("got %q, want %q", got, want[0])
		}
		b, err := json.Marshal(d)
		if string(b) != want[1] || err != nil {
			t.Errorf("got %s, %v, want %s", b, err, want[1])
		}
	}
}

// TestBeforeInit: what fails before PID 1 has nothing of what it sets.
func TestBeforeInit(t *testing.T) {
	m := Machine{ByInit: []crash.Setting{{Name: "panic", Value: "10"}}}
	for failure, want := range map[string]Outcome{
		"no-init": Hangs, "no-root": Hangs, "no-such-init": Hangs, "init-death": ComesBack,
	} {
		row, err := One(m, failure)
		if err != nil {
			t.Fatal(err)
		}
		if row.Outcome != want {
			t.Errorf("%s: got %v, want %v", failure, row.Outcome, want)
		}
	}
	m.Cmdline = "panic=5"
	row, err := One(m, "no-init")
	if err != nil || row.Outcome != ComesBack || row.Back != Span(5*time.Second) {
		t.Errorf("got %+v, %v", row, err)
	}
	if _, err := One(m, "painc"); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("got %v", err)
	}
}

// TestPhases: what is noticed once is not unnoticed until it is noticed again.
func TestPhases(t *testing.T) {
	second := func(n int) Span { return Span(time.Duration(n) * time.Second) }
	dog := []crash.Watchdog{{Name: "i6300esb", Timeout: time.Minute}}
	for _, c := range []struct {
		failure string
		machine crash.Spec
		want    []PhaseKind
		until   Span // the first
	}{
		{"soft-lockup", crash.Spec{CPUs: 2}, []PhaseKind{Unnoticed, Running}, second(21)},
		{"hung-task", crash.Spec{}, []PhaseKind{Unnoticed, Running}, second(239)},
		{"panic", crash.Spec{Watchdogs: dog}, []PhaseKind{Dead}, second(59)},
		{"hard-lockup", crash.Spec{Watchdogs: dog}, []PhaseKind{Dead}, second(59)},
		{"hard-lockup", crash.Spec{}, []PhaseKind{Dead}, Never},
		{"panic", crash.Spec{Cmdline: "panic=5"}, []PhaseKind{Waiting}, second(5)},
		{"double-panic", crash.Spec{CPUs: 2, Cmdline: "panic=5"}, []PhaseKind{Dying, Waiting}, second(1)},
		{"watchdog", crash.Spec{Watchdogs: dog}, []PhaseKind{Unnoticed}, second(60)},
		{"oops", crash.Spec{}, []PhaseKind{Running}, Never},
	} {
		row, err := One(Machine{Spec: c.machine}, c.failure)
		if err != nil {
			t.Fatal(err)
		}
		var got []PhaseKind
		for _, p := range row.Phases {
			got = append(got, p.Kind)
		}
		near := row.Phases[0].To
		if near != Never {
			near = Span(time.Duration(near).Round(time.Second))
		}
		if !reflect.DeepEqual(got, c.want) || near != c.until {
			t.Errorf("%s: got %v, the first until %v, want %v until %v", c.failure, got, near, c.want, c.until)
		}
	}
}
