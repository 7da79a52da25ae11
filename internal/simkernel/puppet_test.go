package simkernel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Puppets are processes that make the system calls they are told to, on the simulated kernel and on
// the running one alike. After each call both process tables must be the same, to the last pending
// signal.

// order is one call of one puppet.
type order struct {
	by   int // which puppet; 0 is PID 1
	word string
	args []int
	how  string // of action
}

func (o order) String() string {
	s := fmt.Sprintf("%d: %s", o.by, o.line())
	return s
}

// line is what a real puppet reads.
func (o order) line() string {
	words := []string{o.word}
	if o.how != "" {
		words = append(words, o.how)
	}
	for _, a := range o.args {
		words = append(words, strconv.Itoa(a))
	}
	return strings.Join(words, " ")
}

// puppetCount is how many puppets there can be in one play, the dead ones counted.
const puppetCount = 14

// sight is what is seen of a process in /proc.
type sight struct {
	State                    string
	Parent, Group, Session   int
	UIDs                     string
	Own, Shared              sigset // pending
	Blocked, Ignored, Caught sigset
	Numbers                  string
}

// puppetPatience is how long the running kernel may take to come to rest.
const puppetPatience = 20 * time.Second

// simStage is the simulated kernel.
type simStage struct {
	k       kernel.Kernel
	m       *Machine
	puppets [puppetCount]*process
	strings map[*process]*puppetStrings
	came    sigset // to PID 1
}

// puppetStrings is what a simulated puppet is moved by.
type puppetStrings struct {
	order  *order
	answer string
	came   []kernel.Signal
}

// obeyStep is what a simulated puppet does.
type obeyStep struct{ s *simStage }

func (obeyStep) step() {}

func (o obeyStep) do(m *Machine, p *process) verdict {
	if p.is(taskVforking) {
		m.waitVfork(p)
		return again
	}
	st := o.s.strings[p]
	if st.order == nil {
		m.setState(p, Sleeping)
		return again
	}
	ord := *st.order
	st.order = nil
	st.answer = o.s.call(p, ord)
	if p.is(taskExiting) {
		return gone
	}
	if m.chance(2) {
		// On another CPU those whom it has woken may be quicker.
		m.setState(p, Sleeping)
		m.current = nil
		m.wake(p)
		return again
	}
	return jumped
}

// cameStep is a puppet's signal handler.
type cameStep struct {
	s   *simStage
	sig kernel.Signal
}

func (cameStep) step() {}

func (c cameStep) do(m *Machine, p *process) verdict {
	st := c.s.strings[p.lead]
	st.came = append(st.came, c.sig)
	return done
}

func result(e kernel.Errno) string { return strconv.Itoa(-int(e)) }

// call makes the call of a puppet.
func (s *simStage) call(p *process, o order) string {
	m, arg := s.m, func(i int) int { return o.args[i] }
	switch o.word {
	case "fork":
		c, e := m.clone(p, cloneArgs{
			newPID: arg(1)&unix.CLONE_NEWPID != 0, parent: arg(1)&unix.CLONE_PARENT != 0,
			exitSignal: kernel.Signal(arg(2)),
		})
		if e != 0 {
			return result(e)
		}
		s.puppets[arg(0)] = c
		s.strings[c] = &puppetStrings{}
		c.frame = frame{steps: []Step{obeyStep{s}}}
		if arg(1)&unix.CLONE_VFORK != 0 {
			c.more().vfork = p
			p.flags |= taskVforking
		}
		m.wake(c)
		return strconv.Itoa(int(p.ns.number(c.pid)))
	case "exit":
		m.exit(p, kernel.WaitStatus(arg(0)&0xff)<<8)
		return ""
	case "kill":
		return result(m.kill(p, kernel.PID(arg(0)), kernel.Signal(arg(1)), false))
	case "raise":
		m.sendSignal(p, kernel.Signal(arg(0)), false, false)
		return "0"
	case "setpgid":
		return result(m.setpgid(p, kernel.PID(arg(0)), kernel.PID(arg(1))))
	case "setsid":
		return result(m.setsid(p))
	case "subreaper":
		m.setSubreaper(p, arg(0) != 0)
		return "0"
	case "deathsig":
		p.more().deathSignal = kernel.Signal(arg(0))
		return "0"
	case "setuid":
		return result(m.setuid(p, arg(0)))
	case "block":
		p.blocked |= setOf(kernel.Signal(arg(0))) &^ unstoppable
		return "0"
	case "unblock":
		p.blocked.remove(kernel.Signal(arg(0)))
		return "0"
	case "action":
		sig := kernel.Signal(arg(0))
		var steps []Step
		if o.how == "catch" {
			steps = []Step{cameStep{s, sig}}
		}
		p.setAction(sig, o.how == "ignore", steps)
		if sig == syscall.SIGCHLD {
			p.lead.signal.set(signalNoCldStop, arg(1)&saNoCldStop != 0)
			p.lead.signal.set(signalNoCldWait, arg(1)&saNoCldWait != 0)
		}
		return "0"
	case "wait":
		return s.wait(p, arg(0), arg(1), WaitOptions(arg(2)))
	case "thread":
		t, e := m.startThread(p, []Step{obeyStep{s}})
		if e != 0 {
			return result(e)
		}
		s.puppets[arg(0)] = t
		s.strings[t] = &puppetStrings{}
		return strconv.Itoa(int(p.ns.number(t.pid)))
	case "endthread":
		m.doExit(p)
		return ""
	case "exec":
		m.load(p, &image{prog: &Program{Steps: []Step{obeyStep{s}}}})
		if t := s.strings[p.lead]; t == nil {
			s.strings[p.lead] = &puppetStrings{}
		}
		return ""
	case "hang":
		p.frames = append(p.frames, p.frame)
		p.frame = frame{steps: []Step{Hang{Killable: arg(0) != 0}}}
		return ""
	case "fault":
		m.forceSig(p, kernel.Signal(arg(0)))
		return ""
	case "came":
		st := s.strings[p.lead]
		text := ""
		for _, sig := range st.came {
			text += fmt.Sprintf("%d ", sig)
		}
		st.came = nil
		return text
	}
	panic("no word " + o.word)
}

const (
	saNoCldStop = 1
	saNoCldWait = 2
)

// wait is waitid(2) with WNOHANG.
func (s *simStage) wait(p *process, kind, id int, options WaitOptions) string {
	// P_ALL, P_PID and P_PGID have the numbers of ours.
	w, e := s.m.waitid(p, wantedKind(kind), kernel.PID(id), options|WaitNoHang)
	switch e {
	case 0:
	case kernel.EAGAIN:
		return "none"
	default:
		return result(e)
	}
	status := int(w.status>>8) & 0xff
	switch w.code {
	case cldKilled, cldDumped:
		status = int(w.status & 0x7f)
	case cldContinued:
		status = int(syscall.SIGCONT)
	}
	return fmt.Sprintf("%d %d %d", w.number, w.code, status)
}

func (s *simStage) obey(o order) string {
	if o.by == 0 {
		answer := s.call(s.m.init, o)
		s.settle()
		return answer
	}
	p := s.puppets[o.by]
	s.strings[p].order = &o
	s.m.wake(p)
	s.settle()
	return s.strings[p].answer
}

// settle lets everybody run. PID 1 takes its signals.
func (s *simStage) settle() {
	for {
		ev, ok := s.k.Next(s.k.Now() + time.Millisecond).(kernel.Signaled)
		if !ok {
			return
		}
		s.came.add(ev.Signal)
	}
}

func (s *simStage) look() map[int]sight {
	all := make(map[int]sight)
	for p := s.m.all.first; p != nil; p = p.nextAll {
		for _, t := range append([]*process{p}, p.others()...) {
			v := s.m.look(p)
			w := sight{
				State: t.state.String(), Parent: int(v.PPID), Group: int(v.PGID), Session: int(v.SID),
				UIDs: fmt.Sprint(t.cred.uid, t.cred.euid, t.cred.suid), Numbers: t.ns.numbers(t.pid),
				Own: t.own, Shared: p.pending, Blocked: t.blocked, Ignored: p.ignored,
			}
			for _, h := range p.handlers {
				w.Caught.add(h.sig)
			}
			all[int(t.pid)] = w
		}
	}
	return all
}

// canObey are the puppets that read their next line.
func (s *simStage) canObey() []int {
	can := []int{0}
	for i, p := range s.puppets {
		if p != nil && p.state == Sleeping && !p.is(taskExiting) {
			can = append(can, i)
		}
	}
	return can
}

// realStage is the running kernel.
type realStage struct {
	tell    []*os.File
	hear    []*os.File
	answers []*bufio.Reader
	proc    string
}

// newRealStage starts the first puppet in a PID namespace.
func newRealStage(t interface{ Fatal(...any) }, puppet string) (*realStage, func()) {
	s := &realStage{}
	cmd := exec.Command(puppet)
	var ours, theirs []*os.File
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	for range puppetCount {
		r, w := pipe()
		cmd.ExtraFiles = append(cmd.ExtraFiles, r)
		s.tell = append(s.tell, w)
		ours, theirs = append(ours, w), append(theirs, r)
		r, w = pipe()
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
		s.hear, s.answers = append(s.hear, r), append(s.answers, bufio.NewReader(r))
		ours, theirs = append(ours, r), append(theirs, w)
	}
	cmd.Stderr = os.Stderr
	// Its own session, for those outside who share one would have a say in what is orphaned.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setsid: true,
		Pdeathsig: syscall.SIGKILL, // the others die with the namespace
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range theirs {
		f.Close()
	}
	s.proc = fmt.Sprintf("/proc/%d/root/proc", cmd.Process.Pid)
	end := func() {
		cmd.Process.Kill()
		_ = cmd.Wait()
		for _, f := range ours {
			f.Close()
		}
	}
	if _, err := s.answers[0].ReadString('\n'); err != nil {
		end()
		t.Fatal("the first puppet does not come up: ", err)
	}
	return s, end
}

func (s *realStage) obey(o order) error {
	_, err := io.WriteString(s.tell[o.by], o.line()+"\n")
	return err
}

// answer reads what a puppet answers.
func (s *realStage) answer(by int) string {
	if err := s.hear[by].SetReadDeadline(time.Now().Add(puppetPatience)); err != nil {
		return err.Error()
	}
	text, err := s.answers[by].ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text, "\n")
}

func (s *realStage) look() map[int]sight {
	all := make(map[int]sight)
	dirs, _ := os.ReadDir(s.proc)
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		threads, _ := os.ReadDir(fmt.Sprintf("%s/%d/task", s.proc, pid))
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if v, err := lookAt(fmt.Sprintf("%s/%d/task/%d", s.proc, pid, tid)); err == nil {
				all[tid] = v
			}
		}
	}
	return all
}

// lookAt reads what is seen of a thread.
func lookAt(dir string) (sight, error) {
	var v sight
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return v, err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return v, err
	}
	_, err = fmt.Sscan(string(stat[strings.LastIndexByte(string(stat), ')')+1:]),
		&v.State, &v.Parent, &v.Group, &v.Session)
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		mask := func(to *sigset) {
			n, e := strconv.ParseUint(value, 16, 64)
			*to, err = sigset(n), errors.Join(err, e)
		}
		switch key {
		case "Uid":
			v.UIDs = strings.Join(strings.Fields(value)[:3], " ")
		case "NSpid":
			v.Numbers = value
		case "SigPnd":
			mask(&v.Own)
		case "ShdPnd":
			mask(&v.Shared)
		case "SigBlk":
			mask(&v.Blocked)
		case "SigIgn":
			mask(&v.Ignored)
		case "SigCgt":
			mask(&v.Caught)
		}
	}
	return v, err
}

// comparable leaves out what the two may differ in: PID 1's masks, and what a zombie has pending.
func comparable(all map[int]sight) map[int]sight {
	all = maps.Clone(all)
	for pid, v := range all {
		switch {
		case pid == 1:
			v.Own, v.Shared, v.Blocked, v.Ignored, v.Caught = 0, 0, 0, 0, 0
		case v.State == "Z" || v.State == "X":
			v.Own, v.Shared, v.Blocked, v.Ignored, v.Caught = 0, 0, 0, 0, 0
		}
		all[pid] = v
	}
	return all
}

// buildPuppet compiles it, or skips the test.
func buildPuppet(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to make PID namespaces")
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("needs a C compiler")
	}
	exe := filepath.Join(t.TempDir(), "puppet")
	out, err := exec.Command(cc, "-static", "-Os", "-o", exe, "testdata/puppet.c").CombinedOutput()
	if err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return exe
}

// anyOrder draws a call.
func anyOrder(t *rapid.T, s *simStage, born int, threads bool) order {
	o := order{by: rapid.SampledFrom(s.canObey()).Draw(t, "by")}
	signal := func() int {
		return int(rapid.SampledFrom([]kernel.Signal{
			0, 1, 3, 9, 10, 12, 15, 17, 18, 19, 20, 21, 28, 34, 35, 65,
		}).Draw(t, "signal"))
	}
	pid := func() int { return rapid.IntRange(0, born+3).Draw(t, "pid") }
	words := []string{
		"fork", "fork", "fork", "exit", "kill", "kill", "kill", "kill", "raise", "setpgid", "setpgid",
		"setsid", "subreaper", "deathsig", "setuid", "block", "unblock", "action", "action", "wait",
		"wait", "wait", "came",
	}
	if threads {
		// What a death signal is for, and where a wait begins, depends on which thread has forked.
		words = append(words, "thread", "thread", "endthread")
		words = slices.DeleteFunc(words, func(w string) bool { return w == "deathsig" })
	}
	if o.by == 0 {
		words = []string{"fork", "kill", "wait", "setpgid"}
	}
	o.word = rapid.SampledFrom(words).Draw(t, "word")
	switch o.word {
	case "fork":
		flags := rapid.SampledFrom([]int{
			0, 0, 0, 0, unix.CLONE_NEWPID, unix.CLONE_PARENT, unix.CLONE_VFORK,
		}).Draw(t, "flags")
		if flags == unix.CLONE_VFORK && (o.by == 0 || threads) {
			// The stage would not take its next line. And what is pending for a process whose
			// first thread waits for such a child is noticed by another thread only at some
			// calls (TIF_SIGPENDING), at others in the model: that is not modelled.
			flags = 0
		}
		exit := rapid.SampledFrom([]int{17, 17, 17, 0, 10}).Draw(t, "exit signal")
		o.args = []int{born + 1, flags, exit}
	case "thread":
		o.args = []int{born + 1}
	case "exit":
		o.args = []int{rapid.IntRange(0, 255).Draw(t, "status")}
	case "kill":
		to := rapid.SampledFrom([]int{1, -1, 0, 2, 3}).Draw(t, "to")
		switch to {
		case 2:
			to = pid()
		case 3:
			to = -pid()
		}
		if o.by == 0 && to == 0 {
			to = -1 // its group is outside
		}
		o.args = []int{to, signal()}
	case "raise", "block", "unblock", "deathsig":
		sig := signal()
		if o.word != "raise" && (sig == 0 || sig > 64) {
			sig = 15
		}
		if sig > 64 {
			sig = 0
		}
		o.args = []int{sig}
	case "setpgid":
		o.args = []int{pid(), pid()}
		if o.by == 0 {
			o.args[0] += 2
		}
	case "subreaper":
		o.args = []int{rapid.IntRange(0, 1).Draw(t, "on")}
	case "setuid":
		o.args = []int{rapid.SampledFrom([]int{0, 7, 8}).Draw(t, "uid")}
	case "action":
		sig := signal()
		if sig == 0 || sig > 64 || sig == 9 || sig == 19 {
			sig = 17
		}
		flags := 0
		if sig == 17 {
			flags = rapid.IntRange(0, 3).Draw(t, "flags")
		}
		o.how = rapid.SampledFrom([]string{"default", "ignore", "catch"}).Draw(t, "how")
		o.args = []int{sig, flags}
	case "wait":
		options := rapid.SampledFrom([]int{4, 4, 6, 2, 8, 14, 10, 0}).Draw(t, "options")
		options |= rapid.SampledFrom([]int{
			0, 0, 0, int(WaitNoWait), int(WaitAll), int(WaitClone),
		}).Draw(t, "more options")
		kind := rapid.IntRange(0, 2).Draw(t, "kind")
		if threads {
			kind = 1
		}
		o.args = []int{kind, pid(), options}
	}
	return o
}

// TestPuppets plays the same calls on the simulated and on the running kernel.
func TestPuppets(t *testing.T) {
	puppet := buildPuppet(t)
	rapid.Check(t, func(t *rapid.T) { playPuppets(t, puppet) })
}

// newSimStage is the simulated kernel after some calls.
func newSimStage(cfg Config, calls []order) *simStage {
	m := New(cfg)
	m.running = true
	m.setsid(m.init)
	s := &simStage{k: &pid1Calls{m}, m: m, strings: make(map[*process]*puppetStrings)}
	for _, o := range calls {
		s.obey(o)
	}
	return s
}

// certain reports whether a call leads to the same whoever runs first of those that it wakes.
func certain(calls []order, o order) bool {
	var first map[int]sight
	var firstOrder []kernel.PID
	for seed := range uint64(24) {
		s := newSimStage(Config{Namespace: true}, calls)
		s.m.rng = rand.New(rand.NewPCG(seed, 0))
		s.obey(o)
		seen, brothers := s.look(), s.brothers()
		if seed == 0 {
			first, firstOrder = seen, brothers
		} else if !maps.Equal(first, seen) || !slices.Equal(firstOrder, brothers) {
			return false
		}
	}
	return true
}

// brothers are the children of all, in the order in which a wait finds them.
func (s *simStage) brothers() []kernel.PID {
	var all []kernel.PID
	for p := s.m.all.first; p != nil; p = p.nextAll {
		for c := p.first; c != nil; c = c.younger {
			all = append(all, c.pid)
		}
	}
	return all
}

// canEnd reports whether all namespaces can end. If the init of one is in a group that is named after
// another of its processes, that number stays in use, and so the init waits for itself for ever: no
// signal ends it any more (kernel/pid_namespace.c, zap_pid_ns_processes).
func (s *simStage) canEnd() bool {
	for p := s.m.all.first; p != nil; p = p.nextAll {
		if p.ns.parent != nil && p == p.ns.init && p.group != nil &&
			p.group.id != p.pid && p.ns.number(p.group.id) != 0 {
			return false
		}
	}
	return true
}

// endless reports whether a call leads to a namespace that cannot end.
func endless(calls []order, o order) bool {
	s := newSimStage(Config{Namespace: true}, calls)
	s.obey(o)
	return !s.canEnd()
}

// TestEndlessNamespace: what canEnd looks for is what keeps a killed init there.
func TestEndlessNamespace(t *testing.T) {
	for _, test := range []struct {
		name  string
		order order
		want  bool
	}{
		{"the init joins its child's group", order{by: 2, word: "setpgid", args: []int{0, 2}}, true},
		{"its parent moves it there", order{by: 1, word: "setpgid", args: []int{3, 4}}, true},
		{"it has its own", order{by: 2, word: "setpgid", args: []int{0, 0}}, false},
		{"it stays where it was", order{by: 2, word: "kill", args: []int{1, 0}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := []order{
				{by: 0, word: "fork", args: []int{1, 0, 17}},
				{by: 1, word: "fork", args: []int{2, unix.CLONE_NEWPID, 17}},
				{by: 2, word: "fork", args: []int{3, 0, 17}},
				{by: 3, word: "setpgid", args: []int{0, 0}},
			}
			wantEqual(t, "endless", endless(calls, test.order), test.want)
			s := newSimStage(Config{Namespace: true}, append(calls, test.order,
				order{by: 1, word: "kill", args: []int{3, 9}}))
			wantEqual(t, "the killed init stays", s.puppets[2].state != Zombie, test.want)
		})
	}
}

func playPuppets(t *rapid.T, puppet string) {
	sim := newSimStage(Config{Namespace: true}, nil)
	actual, end := newRealStage(t, puppet)
	defer end()
	var calls []order
	var story []string
	fail := func(format string, args ...any) {
		t.Fatalf("%s\n%s", strings.Join(story, "\n"), fmt.Sprintf(format, args...))
	}
	// Who is stopped, or waits for a vforked child, answers when it goes on.
	var owed [puppetCount][]string
	born := 0
	threads := rapid.Bool().Draw(t, "threads")
	for range rapid.IntRange(1, 40).Draw(t, "calls") {
		o := anyOrder(t, sim, born, threads)
		bears := o.word == "fork" || o.word == "thread"
		if bears && born == puppetCount-1 || endless(calls, o) || !certain(calls, o) {
			continue
		}
		if bears {
			born++
		}
		calls = append(calls, o)
		want := sim.obey(o)
		story = append(story, o.String()+" = "+want)
		if err := actual.obey(o); err != nil {
			fail("%v", err)
		}
		seen := comparable(sim.look())
		for limit := time.Now().Add(puppetPatience); ; time.Sleep(200 * time.Microsecond) {
			got := comparable(actual.look())
			if maps.Equal(got, seen) {
				break
			}
			if time.Now().After(limit) {
				fail("process tables differ (-running kernel +simulated):\n%s", cmp.Diff(got, seen))
			}
		}
		owed[o.by] = append(owed[o.by], want)
		p := sim.m.init
		if o.by > 0 {
			p = sim.puppets[o.by]
		}
		for p.state == Sleeping && !p.is(taskExiting) && len(owed[o.by]) > 0 {
			if got := actual.answer(o.by); got != owed[o.by][0] {
				fail("answer: the running kernel's is %q, want %q", got, owed[o.by][0])
			}
			owed[o.by] = owed[o.by][1:]
		}
		if err := sim.m.audit(); err != nil {
			fail("%v", err)
		}
	}
}
