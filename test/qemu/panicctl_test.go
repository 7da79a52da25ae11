package qemu_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/test/qemu"
)

// TestPolicyReadsBack: on real kernels PID 1 applies the preset comeback, and panicctl in the guest reads
// back exactly that; what the kernel lacks it reports as lacking. REBOUND_KERNEL names a further kernel
// for amd64.
func TestPolicyReadsBack(t *testing.T) {
	type kernel struct{ name, arch, file string }
	kernels := []kernel{
		{"6.1-amd64", "amd64", ""},
		{"6.12-amd64", "amd64", qemu.Kernel("amd64-6.12")},
		{"6.1-arm64", "arm64", ""},
	}
	if own := os.Getenv("REBOUND_KERNEL"); own != "" {
		kernels = append(kernels, kernel{"own", "amd64", own})
	}
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			policyReadsBack(t, qemu.Machine{Arch: k.arch, Kernel: k.file})
		})
	}
}

func policyReadsBack(t *testing.T, m qemu.Machine) {
	m.KernelPanic = true
	m.Files = []qemu.File{
		{Path: "etc/rebound.conf", Data: "panic.policy = comeback\npanic.warn_limit = 7\nmounts = auto\n"},
		{Path: "bin/panicctl", Perm: 0o755, Source: build(t, m.Arch, "", "cmd/panicctl")},
	}
	g := boot(t, m, "::sysinit:/t/script\n", `
exec </dev/console >/dev/console 2>&1
export NO_COLOR=1
echo mark json
/bin/panicctl show --json
echo mark status $?
/bin/panicctl apply
echo mark applied $?
echo 5 >/proc/sys/kernel/warn_limit
/bin/panicctl check | grep warn_limit
/bin/panicctl show --changed
/bin/panicctl apply --dry-run | grep warn_limit
echo mark done
exec /sbin/poweroff -f
`)
	g.Expect("mark done\r\n")
	g.WantPowerOff()
	console := strings.ReplaceAll(g.Console(0).Transcript(), "\r", "")
	between := regexp.MustCompile(`(?s)mark json\n(.*)\nmark status 0\n(.*)mark applied (\d+)\n(.*)mark done`).
		FindStringSubmatch(console)
	if between == nil {
		g.Fatalf("no JSON with status 0 on the console:\n%s", console)
	}
	var shown []struct {
		Name, State, From, By string
		Value                 *string
	}
	if err := json.Unmarshal([]byte(between[1]), &shown); err != nil {
		g.Fatalf("%v in\n%s", err, between[1])
	}
	table := knob.Table()
	if len(shown) != len(table) {
		t.Errorf("got %d knobs, want %d", len(shown), len(table))
	}
	type knobState struct{ state, value, from string }
	got := make(map[string]knobState)
	for _, s := range shown {
		value := ""
		if s.Value != nil {
			value = *s.Value
		}
		got[s.Name] = knobState{s.State, value, s.From}
	}
	want := map[string]knobState{"kernel.warn_limit": {"set", "7", "policy"}}
	for _, choice := range (knob.Plan{Preset: knob.Comeback}).Choices() {
		want[choice.Knob.Name] = knobState{"set", choice.Value, "preset"}
	}
	lacking := 0
	for name, w := range want {
		switch g := got[name]; {
		case g.state == "lacking":
			lacking++
			t.Logf("this kernel lacks %s", name)
		case g != w:
			t.Errorf("%s: got %+v, want %+v", name, g, w)
		}
	}
	const most = 2
	if lacking > most {
		t.Errorf("%d settings of the preset are lacking, want %d at most", lacking, most)
	}
	// Knobs of other kernels are reported as lacking, too.
	for _, name := range []string{"kernel.panic_on_stackoverflow", "i8042.panicblink"} {
		if got[name].state != "lacking" {
			t.Errorf("%s: got %+v, want it to be lacking", name, got[name])
		}
	}
	if between[3] != "0" || strings.Contains(between[2], "\nset ") {
		t.Errorf("apply after PID 1: status %s, got\n%s", between[3], between[2])
	}
	for _, part := range []string{
		"/etc/rebound.conf:2: trap: kernel.warn_limit is 5, and the policy has 7",
		"would set  kernel.warn_limit = 7: it was 5",
	} {
		if !strings.Contains(between[4], part) {
			t.Errorf("after a change:\ngot\n%s\nwant in it\n%s", between[4], part)
		}
	}
	if !regexp.MustCompile(`kernel\.warn_limit +5 +0 +somebody`).MatchString(between[4]) {
		t.Errorf("show does not say that somebody has changed kernel.warn_limit:\n%s", between[4])
	}
}
