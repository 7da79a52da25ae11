package simkernel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rebound-init/rebound/internal/kernel"
)

// anyDelay draws how long something takes, which may be for ever.
func anyDelay() *rapid.Generator[time.Duration] {
	return rapid.SampledFrom([]time.Duration{
		0, 0, 0, time.Millisecond, time.Second, 7 * time.Second, 2 * time.Minute, kernel.Never / 3,
		kernel.Never,
	})
}

func anyNotifiers(label string) *rapid.Generator[[]Notifier] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Notifier {
		return Notifier{
			Name:     rapid.StringMatching(label+"[a-c]").Draw(t, "name"),
			Priority: rapid.SampledFrom([]int{-256, -128, 0, 0, 128, 129, 255}).Draw(t, "priority"),
			Returns: rapid.SampledFrom(
				[]NotifyResult{NotifyDone, NotifyDone, NotifyOK, NotifyBad, NotifyStop}).Draw(t, "returns"),
			Takes: anyDelay().Draw(t, "takes"),
			Says:  rapid.SampledFrom([]string{"", label}).Draw(t, "says"),
			Does:  rapid.SampledFrom([]Effect{Nothing, Nothing, Resets, PowersOff}).Draw(t, "does"),
		}
	}), 0, 3)
}

// anyReboot draws a machine to be taken down, and a function that makes it anew. What happens on
// the way goes to the function that tell points to.
func anyReboot(t *rapid.T, tell *func(string)) func() *Machine {
	outcome := rapid.SampledFrom([]Outcome{Obeys, Obeys, Refuses, Hangs, ResetsInstead, OffInstead})
	r := RebootConfig{
		Notifiers:        anyNotifiers("n").Draw(t, "notifiers"),
		RestartHandlers:  anyNotifiers("r").Draw(t, "restart"),
		RestartPrepare:   anyNotifiers("p").Draw(t, "restart prepare"),
		PowerOffPrepare:  anyNotifiers("q").Draw(t, "power-off prepare"),
		PowerOffHandlers: anyNotifiers("o").Draw(t, "power off"),
		NoPowerOff:       rapid.Bool().Draw(t, "no power-off"),
		CPUs:             rapid.IntRange(0, 3).Draw(t, "cpus"),
		OfflineCPUs:      rapid.SliceOfN(rapid.IntRange(0, 3), 0, 3).Draw(t, "offline"),
		Image:            rapid.SampledFrom([]KexecImage{NoImage, ImageLoaded, ImageLocked}).Draw(t, "image"),
		Hibernation:      rapid.SampledFrom([]Hibernation{NotBuilt, Forbidden, Built}).Draw(t, "hibernation"),
		SingleThreaded:   rapid.Bool().Draw(t, "single"),
		Trace: func(at time.Duration, step, what string) {
			(*tell)(fmt.Sprintln(at, step, what))
		},
	}
	if rapid.Bool().Draw(t, "has pm_power_off") {
		r.PMPowerOff = &anyNotifiers("m").Filter(func(n []Notifier) bool { return len(n) > 0 }).
			Draw(t, "pm_power_off")[0]
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "devices") {
		r.Devices = append(r.Devices, Device{
			Name: fmt.Sprint("dev", i), Driver: rapid.SampledFrom([]string{"d", ""}).Draw(t, "driver"),
			Takes: anyDelay().Draw(t, "device"),
		})
		r.Syscore = append(r.Syscore, Syscore{fmt.Sprint("core", i), anyDelay().Draw(t, "syscore")})
	}
	cfg := Config{
		Seed: rapid.Uint64Range(0, 1<<20).Draw(t, "seed"),
		Cmdline: rapid.SampledFrom(
			[]string{"", "reboot=f", "reboot=t,w,s1", "acpi=off", "initcall_debug"}).Draw(t, "cmdline"),
		Kernel:     rapid.SampledFrom(append(Kernels(), "")).Draw(t, "kernel"),
		Namespace:  rapid.IntRange(0, 9).Draw(t, "namespace") == 0,
		RebootTime: anyDelay().Draw(t, "reboot time"),
		Until:      10 * time.Minute,
		Reboot:     r,
		Firmware: Firmware{
			ACPI: rapid.Bool().Draw(t, "acpi"), OnReset: outcome.Draw(t, "reset"),
			OnPowerOff:   outcome.Draw(t, "power-off"),
			PowerOffTime: anyDelay().Draw(t, "power-off time"),
			NoReset: rapid.SliceOfN(rapid.SampledFrom([]ResetMethod{
				ResetACPI, ResetKBD, ResetTriple, ResetCF9, ResetBIOS, ResetEFI,
			}), 0, 6).Draw(t, "no reset"),
			StaysOff: rapid.Bool().Draw(t, "stays off"),
		},
	}
	cmd := rapid.SampledFrom([]kernel.RebootCmd{
		kernel.Restart, kernel.Restart2, kernel.Halt, kernel.PowerOff, Kexec, SWSuspend, kernel.CadOff,
		77,
	})
	steps := make(map[string][]Step)
	for i := range 3 {
		steps[fmt.Sprint("p", i)] = []Step{
			Sleep{time.Duration(rapid.IntRange(0, 5).Draw(t, "wait")) * time.Second},
			Reboot{Cmd: cmd.Draw(t, "command"), Arg: "arg", BadArg: rapid.Bool().Draw(t, "bad")},
			Say{"came back"},
		}
	}
	cfg.Programs = programs(steps)
	cfg.Programs["/sbin/poweroff"] = Program{
		Load: anyDelay().Draw(t, "load"), Steps: []Step{powerOff},
	}
	type stimulus struct {
		at     time.Duration
		action Action
	}
	var stimuli []stimulus
	for range rapid.IntRange(0, 3).Draw(t, "stimuli") {
		stimuli = append(stimuli, stimulus{
			time.Duration(rapid.IntRange(0, 9000).Draw(t, "at")) * time.Millisecond,
			rapid.SampledFrom([]Action{
				CtrlAltDel{},
				OrderlyPowerOff{},
				OrderlyPowerOff{Force: true},
				OrderlyReboot{},
				CutPower{},
				PressReset{},
				SetProc{"sys/kernel/panic", "5"},
			}).Draw(t, "action"),
		})
	}
	disk := Disk{
		Name: "vda", Type: "ext4", Volatile: rapid.Bool().Draw(t, "volatile"),
		Dead:  rapid.IntRange(0, 5).Draw(t, "dead") == 0,
		Speed: rapid.SampledFrom([]int64{0, 1, 1000}).Draw(t, "speed"),
	}
	cfg.Mounts = []Mount{{Source: "/dev/vda", Target: "/data", Type: "ext4"}}
	cfg.Programs["/bin/writer"] = Program{Steps: []Step{
		WriteFile{"/data/f", "news"}, Sleep{time.Second}, Sync{},
	}}
	return func() *Machine {
		own := disk
		cfg.Disks = []*Disk{&own}
		m := New(cfg)
		for _, s := range stimuli {
			m.At(s.at, s.action)
		}
		return m
	}
}

// reboots is a PID 1 that starts the programs, and in the end halts the machine by itself.
func reboots(m *Machine) End {
	return m.Boot(func(k kernel.Kernel) int {
		for i := range 3 {
			k.Spawn(command(fmt.Sprint("p", i)))
		}
		k.Spawn(command("writer"))
		until(k, time.Minute)
		k.RebootSelf(kernel.Halt)
		until(k, 2*time.Minute)
		return 0
	})
}

// TestEveryWayDownEnds: whatever a machine meets on its way down, it ends within the bound on time,
// in the same way for the same seed, and so does the machine after it.
func TestEveryWayDownEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var story strings.Builder
		tell := func(s string) { story.WriteString(s) }
		boot := anyReboot(t, &tell)
		by := rapid.SampledFrom([]By{ByItself, ByReset, ByButton, ByCut}).Draw(t, "by")
		play := func() string {
			story.Reset()
			m := boot()
			for range 3 {
				end := reboots(m)
				fmt.Fprintln(&story, end, m.Log(), m.Console(), m.SystemState())
				if end.How == 0 || end.How == Livelocked || end.At > m.cfg.Until {
					t.Fatalf("end: got %+v\n%s", end, &story)
				}
				if err := m.audit(); err != nil {
					t.Fatalf("%v\n%s", err, &story)
				}
				n, err := m.NextBoot(PowerOn{By: by, After: time.Second})
				if err != nil {
					fmt.Fprintln(&story, err)
					break
				}
				m = n
				text, ok := m.File("/data/f")
				fmt.Fprintln(&story, m.Boots(), m.cfg.Epoch, text, ok, m.Disk("vda").Clean())
				if ok && text != "" && text != "news" {
					t.Fatalf("the disk has %q, which nobody wrote", text)
				}
			}
			return story.String()
		}
		first := play()
		if second := play(); first != second {
			t.Fatalf("two runs differ:\n%s\n%s", first, second)
		}
	})
}
