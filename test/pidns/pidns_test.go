package pidns

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		// Most tests wait for something most of the time.
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "pidns")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workDir = dir
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// workDir is where the programs of this package's rooms are built, once for all tests.
var workDir string

// shop is the workshop with the programs of our init, built when first needed.
var shop = sync.OnceValues(func() (*Workshop, error) { return NewWorkshop(workDir) })

var ours = sync.OnceValues(func() (*Base, error) { return baseOf("") })

// crashing is our init with a signal that makes it crash.
var crashing = sync.OnceValues(func() (*Base, error) { return baseOf("crashtest") })

func baseOf(tags string) (*Base, error) {
	w, err := shop()
	if err != nil {
		return nil, err
	}
	program, err := w.BuildInit(tags)
	if err != nil {
		return nil, err
	}
	return w.Base(program)
}

// start opens a room whose init is ours. It is closed with the test.
func start(t *testing.T, plan Plan) *Room {
	t.Helper()
	Require(t)
	if plan.Base == nil {
		base, err := ours()
		if err != nil {
			t.Fatal(err)
		}
		plan.Base = base
	}
	if plan.Argv == nil {
		plan.Argv = []string{"init"}
	}
	if plan.Env == nil {
		plan.Env = []string{"HOME=/", "TERM=linux"}
	}
	if plan.Console == "" {
		plan.Console = ConsolePTY
	}
	w, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	room, err := w.Open(t.TempDir(), &plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		room.Close()
		if t.Failed() {
			t.Logf("console:\n%s", room.View().Text("console"))
			for _, e := range room.View().Events {
				switch {
				case e.From == "log":
					t.Logf("%v %s", e.At, e.Text)
				case e.Report != nil && e.Report.Note == "":
					t.Logf("%v %s has started", e.At, e.Report.Name)
				case e.Report != nil:
					t.Logf("%v %s notes %s %s", e.At, e.Report.Name, e.Report.Note,
						e.Report.Text)
				}
			}
		}
	})
	return room
}

func inittab(lines ...string) File {
	return File{Path: "etc/inittab", Mode: 0o644, Data: []byte(strings.Join(lines, "\n") + "\n")}
}

// await fails the test if the condition does not come to hold.
func await(t *testing.T, r *Room, what string, holds func(View) bool) View {
	t.Helper()
	if !r.Await(Patience, holds) {
		v := r.View()
		if v.Ended {
			t.Fatalf("PID 1 has ended (status %#x) while waiting for %s", uint32(v.Status), what)
		}
		t.Fatalf("waited %v in vain for %s", Patience, what)
	}
	return r.View()
}

func awaitStart(t *testing.T, r *Room, name string, times int) View {
	t.Helper()
	return await(t, r, fmt.Sprintf("start %d of %s", times, name), func(v View) bool {
		return v.Count(name) >= times
	})
}

func awaitNote(t *testing.T, r *Room, name, note string) View {
	t.Helper()
	return await(t, r, name+" to note "+note, func(v View) bool {
		for _, n := range v.Reports(true) {
			if n.Name == name && n.Note == note {
				return true
			}
		}
		return false
	})
}

// goesDown sends a signal that asks for a way down, and demands that it leads there.
func goesDown(t *testing.T, r *Room, sig syscall.Signal) View {
	t.Helper()
	if err := r.Signal(sig); err != nil {
		t.Fatal(err)
	}
	v := await(t, r, "the end after "+unix.SignalName(sig),
		func(v View) bool { return v.Ended })
	// The parent of a PID namespace sees a reboot as SIGHUP, halt and power-off as SIGINT
	// (kernel/pid_namespace.c, reboot_pid_ns).
	want := syscall.SIGINT
	if sig == syscall.SIGTERM {
		want = syscall.SIGHUP
	}
	if !v.Status.Signaled() || v.Status.Signal() != want {
		t.Fatalf("after %s PID 1's parent sees status %#x, want death by %s",
			unix.SignalName(sig), uint32(v.Status), unix.SignalName(want))
	}
	return v
}

// alive demands that PID 1 still does its work: it starts a killed service again.
func alive(t *testing.T, r *Room, service string) {
	t.Helper()
	v := r.View()
	times := v.Count(service)
	pid := 0
	for _, rep := range v.Reports(false) {
		if rep.Name == service {
			pid = rep.HostPID
		}
	}
	if pid == 0 {
		t.Fatalf("%s has never started", service)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitStart(t, r, service, times+1)
}
