package halt_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNothingIsStartedOutsideARoom: a mistake in these tests must not be able to reboot the
// machine. The PID 1 of a room is started in places that are none, and must refuse.
func TestNothingIsStartedOutsideARoom(t *testing.T) {
	touch, err := exec.LookPath("touch")
	if err != nil {
		t.Skip("needs touch: ", err)
	}
	for _, c := range []struct {
		name   string
		flags  uintptr
		root   bool
		forget bool // the namespaces of the test
		want   string
	}{
		{"no namespace", 0, false, false, "expected 1"},
		{"only users", unix.CLONE_NEWUSER, false, false, "expected 1"},
		{
			"the host's users", unix.CLONE_NEWPID | unix.CLONE_NEWNS, true, false,
			"user namespace is",
		},
		{
			"the host's mounts", unix.CLONE_NEWUSER | unix.CLONE_NEWPID, false, false,
			"mnt namespace is",
		},
		{
			"nothing known of outside",
			unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS, false, true, "not in a room",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			trace := filepath.Join(r.Run, "started")
			if c.root && unix.Getuid() != 0 {
				t.Skip("needs root: a PID namespace without a user namespace")
			}
			cmd, written := r.command(touch, []string{"touch", trace})
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: c.flags}
			if c.forget {
				r.Outer = nil
				text, err := json.Marshal(r.job)
				if err != nil {
					t.Fatal(err)
				}
				cmd.Env[len(cmd.Env)-1] = jobEnv + "=" + string(text)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				r.skip(err.Error())
				t.Fatalf("%v: %s", err, out)
			}
			var got report
			text, _ := written()
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("report %q: %v", text, err)
			}
			if !strings.Contains(got.Setup, c.want) {
				t.Errorf("got %q, want a refusal with %q", got.Setup, c.want)
			}
			if matches, _ := filepath.Glob(trace); matches != nil {
				t.Error("the command was started")
			}
		})
	}
}
