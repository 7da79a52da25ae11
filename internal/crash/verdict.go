package crash

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Ending is what has become of a machine whose kernel failed.
type Ending uint8

// The endings.
const (
	// Survived: the kernel goes on, and so does PID 1.
	Survived Ending = iota
	// Restarted: the kernel, or its firmware, has restarted the machine.
	Restarted
	// Rescued: a watchdog has reset it.
	Rescued
	// Captured: the crash kernel has taken over.
	Captured
	// Off: it is off.
	Off
	// Halted: somebody has asked for that.
	Halted
	// Hung: it does nothing more.
	Hung
)

// String is the ending in a word or two.
func (e Ending) String() string {
	return [...]string{
		"survived", "restart", "watchdog", "crash kernel", "power-off", "halt", "nothing: it hangs",
	}[e]
}

// MarshalText is the ending in JSON.
func (e Ending) MarshalText() ([]byte, error) {
	return []byte([...]string{
		"survived", "restarted", "rescued", "captured", "off", "halted", "hung",
	}[e]), nil
}

// Verdict is what came of a failure.
type Verdict struct {
	// Cause is the kernel's last word on why it died: empty if it has not.
	Cause string `json:"cause,omitempty"`
	// Ending is what has become of the machine, and At when, since boot.
	Ending Ending        `json:"ending"`
	At     time.Duration `json:"ended_at"`
	// Watchdog is the name of the one that has reset it.
	Watchdog string `json:"watchdog,omitempty"`
	// Answers is what a machine still answers that hangs, or that goes on with a CPU less.
	Answers *simkernel.Answers `json:"answers,omitempty"`
	// Back is when the next kernel starts, since the boot of the one that failed: Never if
	// it does not without somebody's hand.
	Back Span `json:"back"`
	// Evidence is what is left to find out why.
	Evidence []Evidence `json:"evidence"`
}

// Span is a time, or never.
type Span time.Duration

// Never is the time that does not come.
const Never = Span(kernel.Never)

// String is the time for people.
func (s Span) String() string {
	if s == Never {
		return "never"
	}
	return time.Duration(s).String()
}

// MarshalJSON is nanoseconds, or null for never.
func (s Span) MarshalJSON() ([]byte, error) {
	if s == Never {
		return []byte("null"), nil
	}
	return json.Marshal(int64(s))
}

// Evidence is something that is left.
type Evidence struct {
	// Where is the place: "console", "pstore", "vmcore", "watchdog".
	Where string `json:"where"`
	// What is there.
	What string `json:"what"`
}

// judge says what came of it.
func (p *play) judge(m *simkernel.Machine, end simkernel.End, r *Report) Verdict {
	how := end.Then
	if how == 0 {
		how = end.How
	}
	v := Verdict{Cause: cause(end), Ending: ending(how, end), At: end.At, Back: Never}
	if end.By != "" && (v.Ending == Restarted || v.Ending == Rescued) {
		v.Ending, v.Watchdog = Rescued, end.By
		if v.Cause == "" {
			v.Cause = "nobody has fed watchdog " + end.By + " in time"
		}
	}
	// A machine may go on with a CPU less.
	if a := m.Answers(); v.Ending == Hung || v.Ending == Survived && a.Why != "" {
		v.Answers = &a
	}
	if n := shownSince(r); n > 0 {
		v.Evidence = append(v.Evidence, Evidence{"console", count(n, "line")})
	}
	if v.Ending == Survived || v.Ending == Hung {
		return v
	}
	if next, err := m.NextBoot(simkernel.PowerOn{}); err == nil {
		v.Back = Span(end.At + p.cfg.Firmware.ResetTime)
		v.Evidence = append(v.Evidence, p.left(next)...)
		r.Steps += next.Steps()
	}
	return v
}

// cause is why a kernel died.
func cause(end simkernel.End) string {
	switch end.How {
	case simkernel.Stuck, simkernel.TimedOut:
		return "" // it has not
	default:
		return end.Text
	}
}

// ending is what has become of the machine.
func ending(how simkernel.How, end simkernel.End) Ending {
	switch how {
	case simkernel.Restarted, simkernel.ResetByHand:
		return Restarted
	case simkernel.ResetByWatchdog:
		return Rescued
	case simkernel.Kexeced:
		return Captured
	case simkernel.PoweredOff, simkernel.LostPower:
		return Off
	case simkernel.Halted:
		return Halted
	case simkernel.Stuck, simkernel.TimedOut:
		if end.Then == 0 {
			return Survived // it waits, and nothing more is to happen
		}
	default:
	}
	return Hung
}

// left is what the next boot of the machine finds. Its PID 1 looks, and does nothing else.
func (p *play) left(next *simkernel.Machine) []Evidence {
	var found []Evidence
	next.Boot(func(k kernel.Kernel) int {
		for i := range p.cfg.Watchdogs {
			path := fmt.Sprintf("/sys/class/watchdog/watchdog%d/bootstatus", i)
			text, err := k.ReadFile(path)
			if status := strings.TrimSpace(string(text)); err == nil && status != "0" {
				found = append(found, Evidence{"watchdog", path + " is " + status})
			}
		}
		found = append(found, p.records(k)...)
		if next.Vmcore() != nil {
			found = append(found, Evidence{"vmcore", "/proc/vmcore"})
		}
		for {
			k.Next(kernel.Never)
		}
	})
	return found
}

// pstorePath is where records are shown.
const pstorePath = "/sys/fs/pstore"

// records are what an earlier boot has left in pstore.
func (p *play) records(k kernel.Kernel) []Evidence {
	if p.cfg.Ramoops == "" {
		return nil
	}
	var found []Evidence
	const most = 64
	for i := range most {
		name := fmt.Sprintf("%s/dmesg-ramoops-%d", pstorePath, i)
		text, err := k.ReadFile(name)
		if err != nil {
			continue
		}
		// The first line says why and which part: Panic#1 Part1.
		head, rest, _ := strings.Cut(string(text), "\n")
		found = append(found, Evidence{
			"pstore", name + ": " + strings.TrimSpace(head) + ", " + count(strings.Count(rest, "\n"), "line"),
		})
	}
	name := pstorePath + "/console-ramoops-0"
	if text, err := k.ReadFile(name); err == nil {
		found = append(found, Evidence{
			"pstore", name + ": " + count(strings.Count(string(text), "\n"), "line"),
		})
	}
	return found
}

// shownSince is how many lines have come to the console since the failure.
func shownSince(r *Report) int {
	n := 0
	for _, l := range r.Lines {
		if l.OnConsole && l.At >= r.At {
			n++
		}
	}
	return n
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// List is all evidence in a line.
func (v *Verdict) List() string {
	if len(v.Evidence) == 0 {
		return "none"
	}
	parts := make([]string, len(v.Evidence))
	for i, e := range v.Evidence {
		parts[i] = e.Where + " (" + e.What + ")"
	}
	return strings.Join(parts, ", ")
}
