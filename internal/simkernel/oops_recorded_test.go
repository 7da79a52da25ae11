package simkernel

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the console of a Linux 6.1.192 in QEMU shows of failures that a module caused is in
// testdata/oops-6.1: without times, from the first line of the failure to the last of the kernel's.

// meaningless are what no model can know: lines of registers, code and frames, and parts of lines.
var meaningless = []struct{ what, by string }{
	{`(?m)^(RIP|RSP|RAX|RDX|RBP|R10|R13|FS|CS): .*\n`, ""},
	{`(?m)^Code: .*\n`, ""},
	{`(?m)^CR2: \S+ CR3: .*\n`, ""},
	{`(?m)^ (\? )?[\w.]+\+0x\S+( \[\w+\])?\n`, ""},
	{`(?m)^ \? 0x[0-9a-f]{16}\n`, ""},
	{`(?m)^PGD .*$`, "PGD"},
	{`PID: [1-9]\d*`, "PID: N"},
	{`\[\d+\] exited`, "[N] exited"},
	{`6\.1\.0\S* #1.*`, "6.1.0 #1"},
	{`\+0x[0-9a-f]+/0x[0-9a-f]+`, "+0x0/0x0"},
	{`Kernel Offset: 0x[0-9a-f]+`, "Kernel Offset: 0x0"},
}

// meaning is a console without what means nothing.
func meaning(console string) []string {
	for _, m := range meaningless {
		console = regexp.MustCompile(m.what).ReplaceAllString(console, m.by)
	}
	return strings.Split(strings.TrimSpace(console), "\n")
}

func TestOopsAsRecorded(t *testing.T) {
	at := func(line int) Place {
		return Place{File: "crash/lab.c", Line: line, Function: "lab_init", Module: "lab"}
	}
	inserted := func(how Failure) Action { return starts("insmod", Oops{How: how}) }
	null := NullWrite{Addr: 0x30, At: at(47)}
	var none KexecConfig
	const loading, loaded = "lab(OE+)", "lab(OE)"
	played := map[string]struct {
		module, cmdline string
		do              []Action
		kexec           KexecConfig
	}{
		"null-write":       {loading, "", []Action{inserted(null)}, none},
		"null-write-panic": {loading, "oops=panic", []Action{inserted(null)}, none},
		"null-write-timer": {loaded, "", []Action{Fail{In: InSoftIRQ, How: NullWrite{Addr: 0x10}}}, none},
		"oops-limit": {
			loaded, "sysctl.kernel.oops_limit=1",
			[]Action{Fail{Kthread: "labkt", How: NullWrite{Addr: 0x20}}},
			none,
		},
		"bug": {loading, "", []Action{inserted(BugCall{At: at(48)})}, none},
		"warn-limit": {loading, "sysctl.kernel.warn_limit=2", []Action{
			starts("insmod", Oops{How: WarnCall{Text: "LAB warn 0", At: at(49)}},
				Oops{How: WarnCall{Text: "LAB warn 1", At: at(49)}}),
		}, none},
		"panic-on-warn": {loading, "panic_on_warn=1", []Action{inserted(WarnCall{At: at(50)})}, none},
		"panic-newline": {loading, "", []Action{inserted(PanicCall{Text: "LAB newline\n"})}, none},
		"crash-kernel":  {loading, "oops=panic", []Action{inserted(null)}, capture},
		"crash-kernel-init": {loading, "", []Action{inserted(null), Do(func(m *Machine) {
			m.At(2*time.Second, Do(func(m *Machine) { m.finish(End{How: Exited}) }))
		})}, capture},
	}
	files, err := filepath.Glob("testdata/oops-6.1/*.txt")
	if err != nil || len(files) != len(played) {
		t.Fatalf("%d recordings, %d plays: %v", len(files), len(played), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			recorded, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play := played[name]
			cfg := Config{
				Kexec:   play.kexec,
				Cmdline: "panic=3 sysctl.kernel.tainted=12288 " + play.cmdline,
				Panic:   PanicConfig{Modules: []string{play.module}},
			}
			_, _, said := dead(t, cfg, play.do...)
			got, want := meaning(strings.Join(said, "\n")+"\n"), meaning(string(recorded))
			if len(want) < 5 {
				t.Errorf("only %q is left of the recording", want)
			}
			wantEqual(t, "console", got, want)
		})
	}
}
