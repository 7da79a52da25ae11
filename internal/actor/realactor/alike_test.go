package realactor_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor/simactor"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// script is an actor's words, and what happens to it.
type script struct {
	Name, Words string
	// Input is what it can read; then comes the end of file.
	Input string
	// Env is its environment.
	Env []string
	// Send is sent to it, when it has said "look" and has been looked at, and Then when it has
	// done so again.
	Send, Then []syscall.Signal
}

// play is what is left of a script.
type play struct {
	// Output are the lines, and Status is how the actor ended, for its parent.
	Output []string
	Status uint32
	// Looked is the actor as it was when it had said "look": name, state, and the signals that
	// are blocked, ignored and caught, as in proc_pid_status(5).
	Looked [][]string
}

const look = "look"

// looksAfter is when the simulated actor is looked at, after it has said so.
const looksAfter = 50 * time.Millisecond

func scripts() []script {
	return []script{
		{Name: "nothing", Words: ""},
		{Name: "say and exit", Words: "say hello world, exit 3"},
		{Name: "a word too many", Words: "exit 3 4"},
		{Name: "sleep", Words: "say one, sleep 20ms, say two"},
		{Name: "exit 255", Words: "exit 255"},
		{Name: "die by TERM", Words: "die TERM"},
		{Name: "die by KILL", Words: "die KILL"},
		{Name: "die by USR1", Words: "die USR1"},
		{Name: "die by PIPE", Words: "die PIPE"},
		{Name: "die by a real-time signal", Words: "die 40"},
		{Name: "die though ignored", Words: "ignore TERM, die TERM"},
		{Name: "die though blocked", Words: "block TERM, die TERM"},
		{Name: "not dead of CHLD", Words: "die CHLD, say alive, exit 2"},

		{Name: "looks", Words: "say look, pause", Send: []syscall.Signal{15}},
		{Name: "named", Words: "as somebody, say look, pause", Send: []syscall.Signal{1}},
		{Name: "named twice", Words: "as somebody, as else, say look, pause", Send: []syscall.Signal{2}},
		{Name: "harmless", Words: "say look, pause", Send: []syscall.Signal{17, 18, 23, 28, 15}},
		{
			Name: "ignores", Words: "ignore TERM HUP 40, say look, pause",
			Send: []syscall.Signal{15, 1, 40, 10},
		},
		{
			Name: "ignores all", Words: "ignore all, say look, pause",
			Send: []syscall.Signal{1, 2, 3, 15, 9},
		},
		{
			Name: "ignores no more", Words: "ignore TERM HUP, default HUP, say look, pause",
			Send: []syscall.Signal{15, 1},
		},
		{
			Name: "blocks", Words: "as x, ignore HUP, block TERM USR1, say look, pause",
			Send: []syscall.Signal{15, 10, 1, 2},
		},
		{
			Name: "blocks no more", Words: "block TERM USR1, unblock TERM, say look, pause",
			Send: []syscall.Signal{10, 15},
		},
		{
			Name: "catches", Words: "say look, catch TERM, say caught, exit 5",
			Send: []syscall.Signal{15},
		},
		{
			Name: "catches and goes on", Words: "as x, say look, catch USR1, say look",
			Send: []syscall.Signal{10}, Then: []syscall.Signal{15},
		},
		{
			Name: "catches no more signals meanwhile", Words: "say look, catch TERM, say look, pause",
			Send: []syscall.Signal{15}, Then: []syscall.Signal{15, 1},
		},
		{
			Name: "catches what was ignored", Words: "ignore TERM, say look, catch TERM, exit 1",
			Send: []syscall.Signal{15},
		},
		{
			Name: "catches what is blocked", Words: "block TERM, say look, catch TERM, exit 1",
			Send: []syscall.Signal{15, 9},
		},
		{
			Name:  "unblocks what has come",
			Words: "block TERM, say look, catch USR1, say unblocked, unblock TERM, say no",
			Send:  []syscall.Signal{15, 10},
		},
		{
			Name:  "blocks what is ignored",
			Words: "ignore TERM, block TERM, say look, catch USR1, unblock TERM, say alive, exit 3",
			Send:  []syscall.Signal{15, 10},
		},
		{Name: "blocks in turns", Words: "loop 2, block TERM, kill actor CONT, unblock TERM, say turn"},
		{Name: "hangs", Words: "say look, hang killable", Send: []syscall.Signal{9}},
		{Name: "hangs till TERM", Words: "say look, hang killable", Send: []syscall.Signal{15}},
		{
			Name:  "hangs, ignoring TERM",
			Words: "ignore TERM, say look, hang killable", Send: []syscall.Signal{15, 9},
		},
		{Name: "hangs for a while", Words: "hang killable 20ms, say back, exit 1"},
		{Name: "spins", Words: "say look, spin", Send: []syscall.Signal{15}},
		{Name: "stops", Words: "say look, stop, say on, exit 6", Send: []syscall.Signal{18}},
		{Name: "stopped and killed", Words: "say look, stop", Send: []syscall.Signal{15, 9}},

		{Name: "forks", Words: "say parent, fork, sleep 50ms, say child, exit 9"},
		{Name: "forks three", Words: "fork 3, say child"},
		{Name: "beside", Words: "beside, sleep 50ms, say both, exit 2"},
		{Name: "orphans", Words: "beside, orphan 2, sleep 50ms, say orphan, sleep 2s, kill all KILL"},
		{Name: "loops", Words: "loop 3, say turn"},
		{Name: "loops twice", Words: "loop 2, loop 2, say turn"},
		{Name: "loops till killed", Words: "as a, beside, loop, sleep 20ms, kill a KILL"},
		{Name: "children keep the name", Words: "as one, fork, sleep 50ms, kill one KILL, say no"},
		{Name: "kills by program", Words: "beside, sleep 50ms, kill actor KILL, say no"},
		{Name: "kills nobody", Words: "kill nobody KILL, kill 999 TERM, kill group 18, exit 1"},
		{Name: "kills its group", Words: "beside 2, sleep 100ms, kill group TERM, say no"},
		{Name: "ignored in children", Words: "ignore TERM, fork, die CHLD, kill actor TERM, say alive"},
		{Name: "blocked in children", Words: "block TERM, fork, kill actor TERM, say alive"},
		{Name: "setsid", Words: "setsid, fork, setsid, setpgid, say session, kill group HUP"},

		{Name: "execs", Words: "exec /bin/actor say executed a,b"},
		{Name: "execs by name", Words: "exec actor exit 7"},
		{Name: "execs nothing", Words: "exec /bin/nothing"},
		{Name: "runs", Words: "run actor say one, say two"},
		{Name: "runs nothing", Words: "run nothing, say two, exit 2"},
		{Name: "starts and waits", Words: "start actor sleep 50ms, wait, say waited"},
		{Name: "reaps orphans", Words: "subreaper, run actor fork 3, wait, exit 8"},
		{
			Name:  "ignored by what is executed",
			Words: "as x, ignore TERM, block INT, say look, exec actor pause", Send: []syscall.Signal{15, 2, 1},
		},

		{Name: "reads", Words: "readline, say one, readline, say two, readline, say no", Input: "a\nb\n"},
		{Name: "reads nothing", Words: "readline, exit 1"},
		{
			Name: "files",
			Words: "write /tmp/f one, append /tmp/f two, cat /tmp/f, write /tmp/f three, " +
				"cat /tmp/f, remove /tmp/f, cat /tmp/f, remove /tmp/f",
		},
		{Name: "an empty file", Words: "write /tmp/f, cat /tmp/f, append /tmp/f, cat /tmp/f"},
		{Name: "no directory", Words: "write /none/f x, append /none/f x, cat /none/f, cat /tmp"},
		{Name: "a file is no directory", Words: "write /tmp/f x, write /tmp/f/g x, write /tmp x"},
		{Name: "environment", Words: "env A, env B, env C", Env: []string{"A=1=2", "B="}},
		{
			Name:  "environment of what is executed",
			Words: "fork, exec actor env A", Env: []string{"A=1"},
		},
		{Name: "no reboot", Words: "reboot cad-on, say no"},
		{Name: "reboot", Words: "reboot restart"},
		{Name: "halt", Words: "reboot halt, say no"},
	}
}

// TestAlike plays the scripts on the simulated and on the running kernel.
func TestAlike(t *testing.T) {
	require(t)
	program := build(t)
	for _, s := range scripts() {
		t.Run(s.Name, func(t *testing.T) {
			want := simulated(t, s)
			got := real(t, program, s, want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("actor %s (-simulated +real):\n%s", s.Words, diff)
			}
			if slices.Contains(want.Output, look) && want.Looked == nil {
				t.Error("nobody has looked")
			}
		})
	}
}

// simulated plays a script on the simulated kernel.
func simulated(t *testing.T, s script) play {
	t.Helper()
	var p play
	m := simkernel.New(simkernel.Config{
		Namespace: true, Until: time.Minute, Dirs: []string{"/tmp"},
		Programs: map[string]simkernel.Program{"/bin/actor": simactor.Program()},
	})
	var first kernel.PID
	var see func(rounds ...[]syscall.Signal)
	see = func(rounds ...[]syscall.Signal) {
		m.WhenAfter(look, looksAfter, simkernel.Do(func(m *simkernel.Machine) {
			v, _ := m.Process(first)
			p.Looked = append(p.Looked, []string{
				v.Name, v.State.String(), set(v.Blocked), set(v.Ignored),
				set(slices.DeleteFunc(v.Caught, func(sig kernel.Signal) bool {
					return slices.Contains(v.Blocked, sig)
				})),
			})
			if len(rounds) > 1 {
				see(rounds[1:]...)
			}
			m.Apply(simkernel.Signal{PID: first, Signals: rounds[0]})
		}))
	}
	see(s.Send, s.Then)
	m.At(0, simkernel.Type{TTY: "/dev/ttyS0", Text: s.Input + "\x04"})
	end := m.Boot(func(k kernel.Kernel) int {
		first, _ = k.Spawn(&kernel.Command{
			Paths: []string{"/bin/actor"}, Env: s.Env,
			Argv: append([]string{"/bin/actor"}, strings.Fields(s.Words)...),
		})
		for {
			e, err := k.Wait()
			switch {
			case err == nil && e.PID == first:
				p.Status = uint32(e.Status)
			case err == kernel.ECHILD:
				return 0
			case err != nil:
				k.Next(kernel.Never)
			}
		}
	})
	switch end.How {
	case simkernel.Restarted, simkernel.Halted:
		p.Status = uint32(end.Status)
	case simkernel.Exited:
	default:
		t.Fatalf("the simulated machine: %v: %s", end.How, end.Text)
	}
	// What is typed is echoed there.
	typed := strings.Count(s.Input, "\n")
	for _, l := range m.Console()[typed:] {
		p.Output = append(p.Output, l.Text)
	}
	return p
}

// set are the numbers of signals.
func set(sigs []kernel.Signal) string {
	slices.Sort(sigs)
	return fmt.Sprint(sigs)
}

// asPID1 is the word that makes the test program PID 1.
const asPID1 = "actor-pid1"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asPID1 {
		beginAsPID1()
	}
	os.Exit(m.Run())
}

// require skips the test if it cannot be played, or fails it if it must be.
func require(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if strings.Contains(os.Getenv("REBOUND_REQUIRE"), "root") {
		t.Fatal("REBOUND_REQUIRE asks for this test, which needs root")
	}
	t.Skip("needs root, to make PID namespaces")
}

// build makes the actor.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "actor")
	cmd := exec.Command("go", "build", "-o", file,
		"github.com/rebound-init/rebound/internal/actor/realactor/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// order is what PID 1 is to do: play a script, and wait when it has said "look" until the actor is
// as was expected.
type order struct {
	Script  script
	Program string
	Want    [][]string
	Dir     string
}

// real plays a script in a PID namespace.
func real(t *testing.T, program string, s script, want play) play {
	t.Helper()
	text, err := json.Marshal(order{s, program, want.Looked, t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", asPID1)
	cmd.Stdin = strings.NewReader(string(text))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	answer, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(time.Minute, func() {
		t.Errorf("actor %s does not come to an end", s.Words)
		_ = cmd.Process.Kill()
	})
	defer limit.Stop()
	out, err := io.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var p play
	for line := range strings.Lines(string(out)) {
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v in %q\n%s", err, line, &complaints)
		}
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		p.Status = uint32(ws)
	} else if err != nil {
		t.Fatalf("PID 1: %v\n%s", err, &complaints)
	}
	return p
}

// beginAsPID1 plays a script and writes down what is left: as much as is known, whenever something
// is.
func beginAsPID1() {
	if err := playAsPID1(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func playAsPID1() error {
	signal.Notify(make(chan os.Signal, 1))
	// Go leaves these as they are, and make starts its children with one of them ignored.
	for _, sig := range []uintptr{32, 33, 34} {
		var dfl [4]uint64 // a struct sigaction of zeros: SIG_DFL, on every architecture
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
	}
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	if err := furnish(o); err != nil {
		return err
	}
	input, fill, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err := fill.WriteString(o.Script.Input); err != nil {
		return err
	}
	fill.Close()
	output, say, err := os.Pipe()
	if err != nil {
		return err
	}
	first, err := syscall.ForkExec("/bin/actor",
		append([]string{"/bin/actor"}, strings.Fields(o.Script.Words)...), &syscall.ProcAttr{
			Dir: "/", Env: o.Script.Env, Sys: &syscall.SysProcAttr{Setsid: true},
			Files: []uintptr{input.Fd(), say.Fd(), say.Fd()},
		})
	if err != nil {
		return err
	}
	say.Close()
	var p play
	status := make(chan uint32)
	go func() { status <- reap(first) }()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		p.Output = append(p.Output, lines.Text())
		if lines.Text() == look {
			n := len(p.Looked)
			if n >= len(o.Want) {
				return fmt.Errorf("look %d is one too many", n+1)
			}
			p.Looked = append(p.Looked, watch(first, o.Want[n]))
			for _, sig := range [][]syscall.Signal{o.Script.Send, o.Script.Then}[n] {
				_ = syscall.Kill(first, sig)
			}
		}
		// The next line may be the last: the actor can end PID 1.
		if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
			return err
		}
	}
	p.Status = <-status
	return json.NewEncoder(os.Stdout).Encode(p)
}

// furnish makes a root with nothing in it but the actor.
func furnish(o order) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", o.Dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	for _, dir := range []string{"bin", "proc", "tmp"} {
		if err := os.Mkdir(filepath.Join(o.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(o.Program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "bin/actor"), text, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", filepath.Join(o.Dir, "proc"), "proc", 0, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := unix.Chroot(o.Dir); err != nil {
		return err
	}
	return os.Chdir("/")
}

// reap reaps all that there is, and returns the status of the first.
func reap(first int) uint32 {
	var status uint32
	for {
		var ws syscall.WaitStatus
		switch pid, err := syscall.Wait4(-1, &ws, 0, nil); {
		case pid == first:
			status = uint32(ws)
		case err == syscall.ECHILD:
			return status
		}
	}
}

// watch looks at a process until it is as wanted, or it takes too long.
func watch(pid int, want []string) []string {
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if got = lookAt(pid); slices.Equal(got, want) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return got
}

// lookAt is a process as its status shows it.
func lookAt(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return []string{err.Error()}
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	signals := func(name string) []kernel.Signal {
		bits, _ := strconv.ParseUint(fields[name], 16, 64)
		var sigs []kernel.Signal
		for sig := kernel.Signal(1); sig <= 64; sig++ {
			if bits&(1<<(sig-1)) != 0 {
				sigs = append(sigs, sig)
			}
		}
		return sigs
	}
	blocked := signals("SigBlk")
	return []string{
		fields["Name"], fields["State"][:1], set(blocked), set(signals("SigIgn")),
		// The real actor has handlers for what it blocks.
		set(slices.DeleteFunc(signals("SigCgt"), func(sig kernel.Signal) bool {
			return slices.Contains(blocked, sig)
		})),
	}
}
