package simkernel

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
)

// fact is a statement of section 7 of docs/kernel.md, and its test: what puppets do on a machine,
// and what is so then. The lines are
//
//	2: kill -1 15 = 0    puppet 2 makes a call; 0 is PID 1. The answer need not be told.
//	2 is Z               its state; "gone" when nothing of it is left
//	2 ends 9             its wait status, while it is a zombie
//	2 under 1            whose child it is
//	2 thaws              what it hangs in is over
//	0 has 17             a signal that is pending, or has come to PID 1
type fact struct {
	name  string
	cfg   Config
	lines []string
}

func TestSignalStatements(t *testing.T) {
	for _, f := range signalFacts() {
		t.Run(f.name, func(t *testing.T) { play7(t, f) })
	}
}

func play7(t *testing.T, f fact) {
	t.Helper()
	s := newSimStage(f.cfg, nil)
	for i, line := range f.lines {
		if err := s.line(line); err != nil {
			t.Fatalf("line %d, %q: %v", i+1, line, err)
		}
		if err := s.m.audit(); err != nil {
			t.Fatalf("line %d, %q: %v", i+1, line, err)
		}
	}
}

// line does or checks what a line says.
func (s *simStage) line(line string) error {
	words := strings.Fields(line)
	who, _, call := strings.Cut(words[0], ":")
	by, err := strconv.Atoi(who)
	if err != nil {
		return err
	}
	if call {
		text, want, tells := strings.Cut(line[strings.IndexByte(line, ':')+1:], " =")
		o := order{by: by}
		for i, w := range strings.Fields(text) {
			n, err := strconv.Atoi(w)
			switch {
			case i == 0:
				o.word = w
			case err != nil:
				o.how = w
			default:
				o.args = append(o.args, n)
			}
		}
		got := strings.TrimSpace(s.obey(o))
		if want = strings.TrimSpace(want); tells && got != want {
			return fmt.Errorf("got %q", got)
		}
		return nil
	}
	p := s.m.init
	if by > 0 {
		p = s.puppets[by]
	}
	var got string
	switch words[1] {
	case "is":
		got = p.state.String()
		if s.m.slots[p.pid].p != p {
			got = "gone"
		}
	case "ends":
		got = strconv.Itoa(int(p.status))
	case "under":
		for i, q := range s.puppets {
			if p.parent == q && q != nil || p.parent == s.m.init && i == 0 {
				got = strconv.Itoa(i)
			}
		}
	case "thaws":
		p.frame.until = s.m.now
		s.m.wake(p)
		s.settle()
		return nil
	case "has":
		n, err := strconv.Atoi(words[2])
		if sig := kernel.Signal(n); err != nil ||
			!(p.pending | p.own | s.came).has(sig) || p != s.m.init && !(p.pending|p.own).has(sig) {
			return fmt.Errorf("got pending %v, came %v",
				(p.pending | p.own).signals(), s.came.signals())
		}
		return nil
	}
	if got != words[2] {
		return fmt.Errorf("got %s", got)
	}
	return nil
}

// TestEverySignalStatementHasATest holds docs/kernel.md against the table.
func TestEverySignalStatementHasATest(t *testing.T) {
	page, err := os.ReadFile("../../docs/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	var there, tested []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*(7\.\d+)\*\* `).FindAllSubmatch(page, -1) {
		there = append(there, string(m[1]))
	}
	for _, f := range signalFacts() {
		number, _, _ := strings.Cut(f.name, " ")
		tested = append(tested, number)
	}
	if len(there) < 40 {
		t.Errorf("%d statements, want 40 at least: are they found?", len(there))
	}
	wantEqual(t, "statements with a test", slices.Compact(tested), there)
}

// Two machines: one whose PID 1 is that of a PID namespace, and the first namespace of its own.
// There kthreadd is 2, so that puppet 1 is process 3; in the other it is process 2.
var (
	inNamespace = Config{Namespace: true}
	onMachine   = Config{}
)

// The flags of clone(2) and waitid(2) that the lines use: 536870912 is CLONE_NEWPID, 32768
// CLONE_PARENT, 16384 CLONE_VFORK; 16777216 is WNOWAIT, 1073741824 __WALL, 2147483648 __WCLONE.
func signalFacts() []fact {
	return []fact{
		{"7.1 init discards what it has no handler for", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: fork 2 0 17 = 2",
			"2: kill 1 15 = 0", "2: kill 1 9 = 0", "2: kill 1 19 = 0", "1: kill 1 9 = 0", "1 is S",
			"1: action catch 15 0", "2: kill 1 15 = 0", "1: came = 15",
		}},
		{"7.2 nothing kills or stops PID 1 of the machine", onMachine, []string{
			"0: fork 1 0 17 = 3", "1: kill 1 9 = 0", "1: kill 1 19 = 0", "0 is S",
		}},
		{"7.3 from outside KILL and STOP reach the init of a namespace", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "0: kill 2 15 = 0", "1 is S", "0: kill 2 19 = 0", "1 is T",
			"0: kill 2 18 = 0", "1 is S", "0: kill 2 9 = 0", "1 is Z", "1 ends 9",
			"0: fork 2 536870912 17 = 3", "0: fork 3 536870912 17 = 4", "3: fork 4 0 17 = 2",
			"4: kill 0 9 = 0", "2 ends 9", "3 is S", "0 is S",
		}},
		{"7.4 what is blocked is never discarded as it is sent", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: block 15", "1: action ignore 1 0", "1: block 1",
			"0: kill 2 15 = 0", "0: kill 2 1 = 0", "1 has 15", "1 has 1",
		}},
		{"7.5 init discards it when it is let through", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: block 15", "0: kill 2 15 = 0", "1 has 15",
			"1: unblock 15 = 0", "1 is S", "1: action catch 15 0", "1: came =",
		}},
		{"7.6 an error of its own ends init", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: block 11", "1: action ignore 11 0", "1: fault 11",
			"1 is Z", "1 ends 11",
		}},
		{"7.7 a kernel thread ignores all", onMachine, []string{
			"0: kill 2 9 = 0", "0: kill 2 0 = 0",
		}},
		{"7.8 ignoring discards what is pending", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: block 15", "1: block 17", "0: kill 2 15 = 0", "0: kill 2 17 = 0",
			"1: action ignore 15 0", "1: action default 17 0", "1: action catch 15 0",
			"1: action catch 17 0", "1: unblock 15", "1: unblock 17", "1: came =",
		}},
		{"7.9 a signal is pending once, a real-time one as often as sent", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 10 0", "1: action catch 34 0",
			"1: block 10", "1: block 34", "0: kill 2 10", "0: kill 2 10", "0: kill 2 34", "0: kill 2 34",
			"1: unblock 10", "1: came = 10", "1: unblock 34", "1: came = 34 34",
		}},
		{"7.10 own signals first, then the lowest; the last taken runs first", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 10 0", "1: action catch 12 0", "1: action catch 15 0",
			"0: kill 2 19", "0: kill 2 15", "0: kill 2 10", "0: kill 2 12", "0: kill 2 18",
			"1: came = 15 12 10",
			"1: block 10", "1: block 12", "1: raise 12", "0: kill 2 10", "0: kill 2 19", "1 is T",
		}},
		{"7.11 a deadly signal is the end as it is sent", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: hang 0", "0: kill 2 15 = 0", "0: kill 2 9 = 0", "1 is D",
			"1 thaws", "1 is Z", "1 ends 15",
			// What leaves a core is acted on in its turn, and KILL comes before it.
			"0: fork 2 0 17 = 3", "2: hang 0", "0: kill 3 3 = 0", "0: kill 3 9 = 0", "2 thaws",
			"2 ends 9",
		}},
		{"7.12 what reaches a killable D", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 15 0", "1: hang 1", "0: kill 2 15 = 0",
			"0: kill 2 3 = 0", "0: kill 2 19 = 0", "1 is D", "0: kill 2 9 = 0", "1 is Z", "1 ends 9",
			"0: fork 2 0 17 = 3", "2: hang 1", "0: kill 3 15 = 0", "2 is Z", "2 ends 15",
		}},
		{"7.13 D keeps what is sent", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: hang 0", "0: kill 2 9 = 0", "1 has 9", "1 is D",
		}},
		{"7.14 stopping and going on cancel each other", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: block 20", "1: block 18", "0: kill 2 20", "1 has 20",
			"0: kill 2 18", "1 has 18", "0: kill 2 20", "1: unblock 18", "1: action catch 20 0",
			"1: unblock 20", "1: came = 20",
		}},
		{"7.15 stopped: KILL does not wait", inNamespace, []string{
			"0: fork 1 0 17 = 2", "0: kill 2 19", "0: kill 2 15", "1 is T", "0: kill 2 18", "1 is Z",
			"1 ends 15", "0: fork 2 0 17 = 3", "0: kill 3 19", "0: kill 3 9", "2 is Z", "2 ends 9",
		}},
		{"7.16 the terminal does not stop an orphaned group", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: setsid = 0", "0: kill 2 20", "1 is S", "0: kill 2 19", "1 is T",
			"0: kill 2 18", "1: fork 2 0 17 = 3", "2: setpgid 0 0 = 0", "0: kill 3 20", "2 is T",
		}},
		{"7.17 any thread that does not block it takes a signal", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: action catch 10 0", "1: block 10",
			"0: kill 2 10 = 0", "2: came = 10", "2: block 10", "0: kill 3 10 = 0", "1 has 10",
			"2: unblock 10", "2: came = 10",
			"2: raise 12", "1 is Z", "1 ends 12", "2 is gone",
		}},
		{"7.17 the thread that the number is of comes before the first one", inNamespace, []string{
			// The first one, in D, would keep the signal from the other, which is there to take it.
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: fork 3 16384 17 = 4", "1 is D",
			"0: kill 3 19 = 0", "2 is T",
			"0: fork 4 0 17 = 5", "4: thread 5 = 6", "4: fork 6 16384 17 = 7", "4 is D",
			"0: kill 5 19 = 0", "4 has 19", "5 is S",
		}},
		{"7.17 whether it is discarded depends on what that thread blocks", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "2: block 28", "1: fork 3 16384 17 = 4", "1 is D",
			"0: kill 2 28 = 0",
			"2: action catch 28 0", "2: unblock 28", "2: came =", "2: action default 28 0",
			"2: block 28", "0: kill 3 28 = 0", "1 has 28",
		}},
		{"7.17 who has taken the last one is asked before the others", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: block 10", "1: block 12", "1: thread 2 = 3", "2: unblock 12",
			"1: thread 3 = 4", "3: unblock 10", "3: unblock 12", "1: action catch 10 0",
			"1: action catch 12 0", "0: kill 2 10", "1: came = 10",
			"2: fork 4 16384 17 = 5", "2 is D", "0: kill 2 12", "1: came = 12",
			// Without it the turn is that of the second one, which is in D.
			"3: endthread", "0: kill 2 12", "1 has 12", "1: came =",
		}},
		{"7.18 whom kill(-1) spares", onMachine, []string{
			"0: fork 1 0 17 = 3", "0: fork 2 0 17 = 4", "1: thread 3 = 5", "1: action catch 10 0",
			"2: action catch 10 0", "1: kill -1 10 = 0", "1: came =", "2: came = 10",
			"0: kill -1 9 = 0", "0 is S", "1 is Z", "2 is Z",
		}},
		{"7.19 what kill(-1) returns", inNamespace, []string{
			"0: kill -1 9 = -3", "0: fork 1 0 17 = 2", "1: kill -1 9 = -3", "0: fork 2 0 17 = 3",
			"1: setuid 7 = 0", "1: kill -1 9 = 0", "2 is S", "1: kill -1 65 = -22",
			"1: exit 0", "0: kill -1 0 = 0",
		}},
		{"7.19 what kill(-1) returns where kernel threads count", onMachine, []string{
			"0: kill -1 9 = 0",
		}},
		{"7.20 kill of a zombie", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: exit 0", "0: kill 2 9 = 0", "1 ends 0", "0: kill 2 65 = -22",
			"0: wait 1 2 4 = 2 1 0", "0: kill 2 0 = -3", "0: kill 2 65 = -3",
		}},
		{"7.21 kill of a group", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: setpgid 0 0 = 0", "1: fork 2 0 17 = 3", "2: setuid 7",
			"0: fork 3 0 17 = 4", "3: setuid 7", "3: kill -2 0 = 0", "3: kill -9 0 = -3", "2: exit 0",
			"1: wait 0 0 4 = 3 1 0", "3: kill -2 0 = -1", "1: exit 0", "0: kill -2 9 = 0",
		}},
		{"7.22 PID 1 is in the kernel's group", onMachine, nil},
		{"7.23 who may send to whom", inNamespace, []string{
			"0: fork 1 0 17 = 2", "0: fork 2 0 17 = 3", "0: fork 3 0 17 = 4", "1: setuid 7",
			"2: setuid 7", "3: setuid 8", "1: kill 3 0 = 0", "1: kill 4 0 = -1", "1: kill 1 15 = -1",
			"0: kill 4 0 = 0", "1: kill 4 18 = 0", "3: setsid = 0", "1: kill 4 18 = -1",
		}},
		{"7.23 each thread has a user of its own", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "2: setuid 7", "0: fork 3 0 17 = 4", "3: setuid 7",
			"3: kill 2 0 = -1", "3: kill 3 0 = 0",
		}},
		{"7.24 numbers are the caller's", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: fork 2 0 17 = 2", "2: kill 3 0 = -3", "2: kill -1 9 = -3",
			"1: kill 2 9 = 0", "2 is Z", "0: kill 3 0 = 0", "0: kill -1 9 = 0", "1 is Z",
		}},
		{"7.25 who gets the orphans", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: subreaper 1", "1: fork 2 0 17 = 3", "2: subreaper 1",
			"2: fork 3 0 17 = 4", "3: fork 4 0 17 = 5", "4: fork 5 0 17 = 6",
			"4: exit 0", "5 under 2", "4 under 3", "2: exit 0", "3 under 1", "5 under 1",
			"1: subreaper 0", "3: fork 6 0 17 = 7", "3: exit 0", "6 under 0",
		}},
		{"7.25 another thread gets the orphans first", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: fork 3 0 17 = 4", "1: endthread", "1 is Z",
			"3 under 1", "3: exit 4", "2: wait 0 0 4 = 4 1 4", "2: fork 4 0 17 = 5", "4 under 1",
			"2: endthread", "4 under 0",
		}},
		{"7.26 who knows of a subreaper above", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "2: fork 3 0 17 = 4", "1: subreaper 1",
			"2: exit 0", "3 under 1",
			"1: fork 4 536870912 17 = 5", "4: fork 5 0 17 = 2", "5: fork 6 0 17 = 3", "5: exit 0",
			"6 under 4",
		}},
		{"7.27 what changes for an orphan", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 10 = 3", "2: deathsig 15", "2: action catch 15 0",
			"1: fork 3 0 10 = 4", "3: exit 3", "1: exit 0", "2: came = 15", "3 under 0",
			"0: wait 1 4 4 = 4 1 3",
			"0: fork 4 0 17 = 5", "4: fork 5 0 17 = 6", "5: deathsig 9", "5: setuid 7", "4: setuid 8",
			"4: exit 0", "5 is S",
			"0: fork 6 0 17 = 7", "6: fork 7 0 17 = 8", "7: setuid 7", "7: deathsig 9", "6: setuid 8",
			"6: exit 0", "7 is S",
		}},
		{"7.28 nobody waits: SIGCHLD ignored", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action ignore 17 0", "1: fork 2 0 17 = 3", "1: wait 0 0 4 = none",
			"2: exit 0", "2 is gone", "1: wait 0 0 4 = -10",
		}},
		{"7.28 nobody waits: SA_NOCLDWAIT", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 17 2", "1: fork 2 0 17 = 3", "2: exit 0", "2 is gone",
			"1: came = 17", "1: wait 0 0 4 = -10",
			"1: action default 17 0", "1: fork 3 0 17 = 4", "3: exit 0", "3 is Z",
		}},
		{"7.28 nobody waits: SA_NOCLDWAIT, said by another thread", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: fork 3 0 17 = 4", "2: action catch 17 2",
			"3: exit 0", "3 is gone",
		}},
		{"7.29 SA_NOCLDSTOP", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 17 1", "1: fork 2 0 17 = 3", "1: kill 3 19",
			"1: kill 3 18", "1: came =", "1: wait 0 0 8 = 3 6 18", "1: action catch 17 0",
			"1: kill 3 19", "1: came = 17", "1: wait 0 0 2 = 3 5 19",
		}},
		{"7.30 one SIGCHLD for many", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: action catch 17 0", "1: block 17", "1: fork 2 0 17 = 3",
			"1: fork 3 0 17 = 4", "2: exit 1", "3: exit 2", "1: unblock 17", "1: came = 17",
			"1: wait 0 0 4 = 3 1 1", "1: wait 0 0 4 = 4 1 2",
		}},
		{"7.31 the eldest first", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "1: fork 3 0 17 = 4", "1: fork 4 0 17 = 5",
			"4: exit 3", "3: exit 2", "2: exit 1", "1: wait 0 0 4 = 3 1 1", "1: wait 1 5 4 = 5 1 3",
			"1: wait 0 0 4 = 4 1 2",
		}},
		{"7.32 what a wait tells, and how often", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "1: kill 3 19", "1: wait 0 0 4 = none",
			"1: wait 0 0 16777218 = 3 5 19", "1: wait 0 0 2 = 3 5 19", "1: wait 0 0 2 = none",
			"1: kill 3 18", "1: wait 0 0 10 = 3 6 18", "1: wait 0 0 10 = none", "1: kill 3 9",
			"1: wait 0 0 10 = -10", "1: wait 0 0 16777220 = 3 2 9", "1: wait 0 0 4 = 3 2 9",
			"1: wait 0 0 4 = -10", "1: wait 0 0 1 = -22", "1: wait 1 0 4 = -22",
		}},
		{"7.32 waits for a group", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "1: fork 3 0 17 = 4", "1: setpgid 4 4 = 0",
			"2: exit 1", "3: exit 2", "1: wait 2 4 4 = 4 1 2", "1: wait 2 4 4 = -10",
			"1: wait 2 0 4 = 3 1 1",
		}},
		{"7.33 clone children", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 10 = 3", "1: action catch 10 0", "2: exit 1",
			"1: came = 10", "1: wait 0 0 4 = -10", "1: wait 0 0 2164260868 = 3 1 1",
			"1: wait 0 0 1073741828 = 3 1 1",
		}},
		{"7.34 an orphaned group with a stopped job", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "2: setpgid 0 0 = 0", "2: action catch 1 0",
			"1: fork 3 0 17 = 4", "3: setpgid 0 3 = 0", "3: action catch 1 0",
			"1: setsid = 0", "0: fork 4 0 17 = 5", "4: setsid = 0", "4: fork 5 0 17 = 6",
			"5: setpgid 0 0 = 0", "5: action catch 1 0", "5: fork 6 0 17 = 7", "6: action catch 1 0",
			"0: kill 6 19", "5 is T", "4: exit 0", "5 is S", "5: came = 1", "6: came = 1",
		}},
		{"7.34 none is told where none is stopped", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: setsid = 0", "1: fork 2 0 17 = 3", "2: setpgid 0 0 = 0",
			"1: exit 0", "2 is S", "2 under 0",
		}},
		{"7.35 the first thread ends before the others", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: endthread", "1 is Z", "0: wait 0 0 4 = none",
			"2: action catch 10 0", "0: kill 2 10 = 0", "2: came = 10", "2: exit 5", "2 is gone",
			"0: wait 0 0 4 = 2 1 5",
		}},
		{"7.36 an exec ends the other threads, and waits for them", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "1: thread 3 = 4", "1: exec", "2 is gone",
			"3 is gone", "1 is S", "1: thread 4 = 5", "4: hang 0", "1: exec", "1 is D", "4 is D",
			"4 thaws", "4 is gone", "1 is S", "1: thread 5 = 6", "5: exec", "5 is gone", "1 is S",
			"1: kill 2 0 = 0",
		}},
		{"7.37 a thread in D keeps the process from ending", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "2: hang 0", "1: exit 4", "1 is Z", "2 is D",
			"0: wait 0 0 4 = none", "0: kill 2 9 = 0", "2 is D", "2 thaws", "2 is gone",
			"0: wait 0 0 4 = 2 1 4",
		}},
		{"7.38 init has no brothers", inNamespace, []string{
			"0: fork 1 32768 17 = -22", "0: fork 2 0 17 = 2", "2: fork 3 32768 10 = 3", "3 under 0",
			"0: fork 4 536870912 17 = 4", "4: fork 5 32768 17 = -22",
		}},
		{"7.39 a namespace ends with its init", inNamespace, []string{
			"0: fork 1 536870912 17 = 2", "1: fork 2 0 17 = 2", "1: fork 3 0 10 = 3",
			"2: fork 4 536870912 17 = 4", "4: fork 5 0 17 = 2", "5: hang 0", "1: exit 6", "1 is S",
			"2 is gone", "3 is gone", "5 is D", "0: wait 0 0 4 = none", "5 thaws", "5 is gone",
			"4 is gone", "0: wait 0 0 4 = 2 1 6",
		}},
		{"7.40 nobody is born in a namespace that ends", inNamespace, nil},
		{"7.41 the kernel panics when PID 1's last thread has ended", onMachine, nil},
		{"7.42 RLIMIT_NPROC", Config{Namespace: true, Limits: Limits{Processes: 3}}, []string{
			"0: fork 1 0 17 = 2", "0: fork 2 0 17 = 3", "1: setuid 7", "1: fork 3 0 17 = 4",
			"1: fork 4 0 17 = 5", "1: fork 5 0 17 = -11", "3: exit 0", "1: fork 5 0 17 = -11",
			"1: thread 5 = -11", "1: wait 0 0 4 = 4 1 0", "1: fork 5 0 17 = 6", "0: fork 6 0 17 = 7",
		}},
		{"7.43 pids.max", Config{Namespace: true, Limits: Limits{Tasks: 3}}, []string{
			"0: fork 1 0 17 = 2", "1: thread 2 = 3", "0: fork 3 0 17 = -11", "2: endthread",
			"0: fork 3 0 17 = 5", "1: thread 4 = -11",
		}},
		{"7.44 numbers", Config{Namespace: true, PIDMax: 5}, []string{
			"0: fork 1 0 17 = 2", "1: setsid = 0", "1: fork 2 0 17 = 3", "1: exit 0",
			"0: wait 1 2 4 = 2 1 0", "0: fork 3 0 17 = 4", "0: fork 4 0 17 = -11", "2: exit 0",
			"0: wait 1 3 4 = 3 1 0", "0: fork 4 0 17 = 2",
		}},
		{"7.45 vfork", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 16384 17 = 3", "1 is D", "0: kill 2 10 = 0", "1 is Z",
			"0: fork 3 0 17 = 4", "3: fork 4 16384 17 = 5", "3 is D", "4: exit 0", "3 is S",
			"3: fork 5 16384 17 = 6", "3 is D", "5: exec", "3 is S",
			"3: fork 6 16384 17 = 7", "6: thread 7 = 8", "7: endthread", "3 is D", "6: thread 8 = 9",
			"6: endthread", "3 is S",
		}},
		{"7.46 setpgid", inNamespace, []string{
			"0: fork 1 0 17 = 2", "1: fork 2 0 17 = 3", "1: fork 3 0 17 = 4", "1: setpgid 3 3 = 0",
			"1: setpgid 4 3 = 0", "1: setpgid 4 9 = -1", "1: setpgid 9 0 = -3", "2: setpgid 4 0 = -3",
			"1: setpgid 3 -1 = -22", "2: exec", "1: setpgid 3 2 = -13", "3: setsid = 0",
			"1: setpgid 4 2 = -1", "3: setsid = -1", "3: setpgid 0 0 = -1",
		}},
	}
}

// What no puppet can do is tested below.

func TestKernelGroup(t *testing.T) { // 7.22
	m := New(Config{})
	m.Boot(func(k kernel.Kernel) int {
		p, _ := m.Process(1)
		wantEqual(t, "group and session", [2]kernel.PID{p.PGID, p.SID}, [2]kernel.PID{0, 0})
		wantErr(t, "Kill", k.Kill(0, kernel.SIGTERM), 0)
		wantEqual(t, "event", k.Next(0), kernel.Event(kernel.Signaled{Signal: kernel.SIGTERM}))
		if err := k.Setsid(); err != nil {
			t.Fatal(err)
		}
		p, _ = m.Process(1)
		wantEqual(t, "group and session", [2]kernel.PID{p.PGID, p.SID}, [2]kernel.PID{1, 1})
		return 0
	})
}

func TestNoForkIntoADyingNamespace(t *testing.T) { // 7.40
	s := newSimStage(inNamespace, nil)
	for _, line := range []string{
		"0: fork 1 536870912 17", "1: fork 2 0 17", "2: hang 0", "1: exit 0", "1 is S",
	} {
		if err := s.line(line); err != nil {
			t.Fatal(line, err)
		}
	}
	_, e := s.m.clone(s.puppets[2], cloneArgs{exitSignal: syscall.SIGCHLD})
	wantErr(t, "clone", asError(e), syscall.ENOMEM)
}

func TestThreadsOfPID1(t *testing.T) { // 7.41
	hang := [][]Step{{Pause{}}, {Hang{For: 5e9}}}
	for _, test := range []struct {
		name string
		cfg  Config
		pid1 func(k kernel.Kernel) int
		want End
	}{
		{
			"exit waits for the last thread",
			Config{Threads: hang},
			func(k kernel.Kernel) int { k.Next(1e6); return 3 },
			End{
				How: Exited, At: 5e9, Since: 5e9, Then: Hung, Status: 3 << 8,
				Text: "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300",
			},
		},
		{
			"exec, too",
			Config{Threads: hang},
			func(k kernel.Kernel) int {
				k.Exec(&kernel.Command{Paths: []string{"/bin/sh"}, Argv: []string{"sh"}})
				return 0
			},
			End{How: Execed, At: 5e9, Command: &kernel.Command{
				Paths: []string{"/bin/sh"}, Argv: []string{"sh"},
			}},
		},
		{
			"for ever, if it must be",
			Config{Threads: [][]Step{{Hang{}}}},
			func(k kernel.Kernel) int { k.Next(1e6); return 0 },
			End{
				// khungtaskd tells of it ten times.
				How: Lingering, At: 22 * 60e9,
				Text: "PID 1 is to end (exited), but there is its thread 3 in state D",
			},
		},
		{
			"in a namespace the others of it end after PID 1",
			Config{Namespace: true, Programs: programs(map[string][]Step{"p": {Hang{For: 5e9}}})},
			func(k kernel.Kernel) int {
				spawn(t, k, "p")
				k.Next(1e9)
				return 0
			},
			End{How: Exited, At: 5e9 + 300e3},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantEqual(t, "end", New(test.cfg).Boot(test.pid1), test.want)
		})
	}
}

func TestThreadOfPID1IsThawed(t *testing.T) {
	m := New(Config{Namespace: true})
	m.At(1e9, Thread{[]Step{Hang{}}})
	m.At(3e9, Thaw{"init"})
	end := m.Boot(func(k kernel.Kernel) int {
		k.Next(2e9)
		return 0
	})
	wantEqual(t, "end", end, End{How: Exited, At: 3e9})
}

func TestThreadsAreShown(t *testing.T) {
	m := New(Config{Threads: [][]Step{{Pause{}}, {Hang{}}}})
	m.Boot(func(k kernel.Kernel) int {
		k.Next(1e9)
		wantEqual(t, "tasks", m.Tasks(1), []kernel.PID{1, 3, 4})
		for name, want := range map[string]string{
			"1/status": "Threads:\t3\n", "1/task/4/status": "State:\tD (disk sleep)\nTgid:\t1\nPid:\t4\n",
			"1/task/1/comm": "init\n",
		} {
			b, err := k.Proc(name)
			if err != nil || !contains(b, want) {
				t.Errorf("%s: got %q, %v, want %q in it", name, b, err, want)
			}
		}
		_, err := k.Proc("1/task/2/stat")
		wantErr(t, "another process's thread", err, kernel.ENOENT)
		pid := spawn(t, k, "sh")[0]
		wantEqual(t, "first child", pid, 5)
		b, err := k.Proc("1/task/1/children")
		wantEqual(t, "children", string(b), "5 ")
		wantErr(t, "children", err, 0)
		return 0
	})
}

func TestRebootInANestedNamespace(t *testing.T) {
	for cmd, want := range map[kernel.RebootCmd]kernel.WaitStatus{
		kernel.Restart: 1, kernel.Halt: 2, kernel.PowerOff: 2,
	} {
		steps := []Step{Clone{NewPID: true, Do: []Step{
			Fork{Do: []Step{Reboot{Cmd: cmd}}}, Pause{},
		}}}
		m := New(Config{Programs: programs(map[string][]Step{"p": steps})})
		m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			wantEqual(t, cmd.String(), statuses(until(k, 1e9)), []kernel.WaitStatus{0, want})
			return 0
		})
	}
}
