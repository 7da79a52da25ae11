package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/crash/matrix"
)

const triggerDoes = `Let the kernel of this machine fail, on purpose, so as to see whether it comes back. Before that it
is told what will come of it, and a word has to be typed. What has not been written to the disks is
lost. Where the machine would not come back by itself, nothing is done without -force.`

// The files by which programs can make a kernel fail.
const (
	sysrqTrigger  = "proc/sysrq-trigger"
	provokeDirect = "sys/kernel/debug/provoke-crash/DIRECT" // drivers/misc/lkdtm
	watchdogZero  = "dev/watchdog0"
)

// trigger is how a program makes a kernel fail, or why none can.
type trigger struct {
	// file is what is written to, and word what; since is the first kernel where that does it.
	file, word string
	since      []int
	// never says why there is no way.
	never string
}

// provoked are the failures that the kernel's test driver knows, by its words for them
// (drivers/misc/lkdtm, CONFIG_LKDTM).
var provoked = map[string]string{
	"panic": "PANIC", "bug": "BUG", "warn": "WARNING_MESSAGE", "warn-on": "WARNING", "oops": "EXCEPTION",
	"oops-read": "ACCESS_NULL", "bad-jump": "EXEC_NULL", "read-only": "WRITE_KERN",
	"stack-overflow": "EXHAUST_STACK", "stack-canary": "CORRUPT_STACK_STRONG", "soft-lockup": "SOFTLOCKUP",
	"hard-lockup": "HARDLOCKUP", "hung-task": "HUNG_TASK",
}

// never are the failures that no program can bring about by itself.
var never = map[string]string{
	"init-death":      "PID 1 ends by itself, or not at all: signals to it are dropped",
	"init-fault":      "nobody but PID 1 itself can use memory that it does not have",
	"oom":             "others would be killed first; sysrq-f lets the kernel look for a victim, and never panics",
	"oom-init":        "others would be killed first",
	"nmi":             "an NMI comes from outside: the button of a server, `ipmitool power diag`, `virsh inject-nmi`",
	"nmi-serr":        "the bus must say so",
	"nmi-io":          "a card must say so",
	"mce":             "the processor must say so",
	"mce-local":       "the processor must say so",
	"serror":          "the memory or the bus must say so",
	"bus-error":       "the memory or the bus must say so",
	"pretimeout":      "only who feeds the watchdog can set a pretimeout, and stop; see watchdog",
	"rcu-stall":       "it takes code in the kernel; soft-lockup stalls RCU, too",
	"rcu-stall-other": "as rcu-stall; who sees it first is by chance",
	"no-init":         "it happens at boot: boot with rdinit=/missing init=/missing",
	"no-root":         "it happens at boot: boot with a wrong root=",
	"no-such-init":    "it happens at boot: boot with init=/missing",
}

// triggerOf is how to bring a failure about.
func triggerOf(failure string) trigger {
	switch {
	case strings.HasPrefix(failure, "sysrq-"):
		return trigger{file: sysrqTrigger, word: strings.TrimPrefix(failure, "sysrq-")}
	case failure == "emergency-restart":
		// The handler of this key calls nothing else (drivers/tty/sysrq.c).
		return trigger{file: sysrqTrigger, word: "b"}
	case failure == "watchdog":
		return trigger{file: watchdogZero}
	case provoked[failure] != "":
		return trigger{file: provokeDirect, word: provoked[failure]}
	case never[failure] != "":
		return trigger{never: never[failure]}
	}
	return trigger{never: "it takes code in the kernel: a module that does it"}
}

// instead is another way, for a kernel without the test driver.
func instead(failure string) (trigger, bool) {
	if failure != "panic" {
		return trigger{}, false
	}
	// Before, the key uses a null pointer instead (drivers/tty/sysrq.c, sysrq_handle_crash).
	return trigger{file: sysrqTrigger, word: "c", since: []int{5, 0}}, true
}

// how says it in words.
func (g trigger) how() string {
	switch {
	case g.never != "":
		return g.never
	case g.word == "":
		return "opens /" + g.file + ", and does not feed it"
	}
	return fmt.Sprintf("writes %q to /%s", g.word, g.file)
}

func (t *tool) trigger(args []string) int {
	f := t.flags("trigger", "FAILURE", triggerDoes)
	var (
		root                   string
		list, yes, force, sync bool
	)
	f.BoolVar(&list, "list", false, "list all failures, and how a program can bring each about, or why none can")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.BoolVar(&force, "force", false, "do it even if the machine would not come back by itself")
	f.BoolVar(&sync, "sync", false, "write all disks before, which takes as long as it takes")
	f.StringVar(&root, "root", "/", "take proc, sys and dev from below this `directory`")
	words, status, done := t.parse(f, args)
	switch {
	case done:
		return status
	case list && len(words) == 0:
		return t.listTriggers()
	case len(words) != 1 || list:
		return t.wrong("trigger: expected the name of one failure: `panicctl trigger --list` names all")
	}
	if status := t.knows("trigger", words[0]); status != exitOK {
		return status
	}
	o := machineFlags{root: root}
	m, err := o.machine()
	if err != nil {
		return t.failsBy(err, "trigger: what would come of it cannot be told")
	}
	row, err := matrix.One(m.Machine, words[0])
	if err != nil {
		return t.wrong("trigger: %v", err)
	}
	g, err := findTrigger(running{root}, row.Failure)
	switch {
	case g.never != "":
		return t.fails(exitUsage, "trigger: no program can bring about %s: %s", row.Failure, g.never)
	case err != nil:
		return t.failsBy(err, "trigger: %s", row.Failure)
	}
	t.print(t.out, t.describe(m), "")
	fmt.Fprintf(t.out, "\n%s: panicctl %s.\n\n", t.paint(bold, row.Failure), g.how())
	t.printEnd(row)
	fmt.Fprintln(t.out)
	if why := m.doubt(row); why != "" && !force {
		return t.fails(exitRefused, "trigger: nothing has been done: %s: -force does it all the same", why)
	}
	if !yes && !t.confirmed(row.Failure) {
		return t.fails(exitRefused, "trigger: nothing has been done")
	}
	if sync {
		t.syncDisks(root)
	}
	return t.pull(root, g, row)
}

// doubt says why the machine should not be made to fail, if there is a reason.
func (m *machine) doubt(row *matrix.Row) string {
	switch row.Outcome {
	case matrix.Hangs:
		return "the machine would hang for ever"
	case matrix.Halts, matrix.PowersOff:
		return "the machine would be off until somebody comes"
	case matrix.GoesOn, matrix.ComesBack, matrix.Captured:
	}
	if m.foreign {
		return "the model knows no kernel for this machine, and cannot tell what would come of it"
	}
	return ""
}

// confirmed asks whoever sits there to type a word.
func (t *tool) confirmed(word string) bool {
	fmt.Fprintf(t.out, "Type %s to let the kernel of this machine fail now: ", t.paint(bold, word))
	line, _ := bufio.NewReader(t.in).ReadString('\n')
	fmt.Fprintln(t.out)
	return strings.TrimSpace(line) == word
}

// findTrigger looks for a way that this machine has.
func findTrigger(r running, failure string) (trigger, error) {
	g := triggerOf(failure)
	if g.never != "" {
		return g, nil
	}
	err := g.there(r)
	if err == nil {
		return g, nil
	}
	other, ok := instead(failure)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	release, e := r.Read("proc/sys/kernel/osrelease")
	if e != nil || slices.Compare(versionOf(release), other.since) < 0 {
		return g, err
	}
	return other, other.there(r)
}

// there says why a way is not there, if it is not. A watchdog is not looked into: opening it starts it.
func (g trigger) there(r running) error {
	path := filepath.Join(r.root, g.file)
	if g.file == watchdogZero {
		_, err := os.Stat(path)
		return err
	}
	if g.file == provokeDirect {
		text, err := r.Read(g.file)
		if err != nil {
			return fmt.Errorf("it takes the kernel's test driver lkdtm, and debugfs: %w", err)
		}
		if !slices.Contains(strings.Split(text, "\n"), g.word) {
			return fmt.Errorf("the kernel's test driver has no %s: %w", g.word, fs.ErrNotExist)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// syncDisks writes the disks by the key for it, which does not wait for a disk that is dead.
func (t *tool) syncDisks(root string) {
	const patience = 2 * time.Second
	if err := write(root, trigger{file: sysrqTrigger, word: "s"}); err != nil {
		fmt.Fprintf(t.err, "panicctl: trigger: the disks are not written: %v\n", err)
		return
	}
	t.wait(patience)
}

// write writes a way's word.
func write(root string, g trigger) error {
	f, err := os.OpenFile(filepath.Join(root, g.file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(g.word)
	return errors.Join(err, f.Close())
}

// wait lets time pass, or less if somebody presses Ctrl-C.
func (t *tool) wait(d time.Duration) {
	select {
	case <-t.ctx.Done():
	case <-time.After(d):
	}
}

// pull brings the failure about. It comes back if the kernel goes on.
func (t *tool) pull(root string, g trigger, row *matrix.Row) int {
	if g.file == watchdogZero {
		return t.starve(root, row)
	}
	if err := write(root, g); err != nil {
		return t.failsBy(err, "trigger: %s", row.Failure)
	}
	if row.Outcome == matrix.GoesOn {
		fmt.Fprintln(t.out, "Done. The kernel goes on, as foretold.")
		return exitOK
	}
	// Some of it happens a moment later, in a worker of the kernel.
	const patience = 10 * time.Second
	t.wait(patience)
	return t.fails(exitAmiss, "trigger: %s was foretold to end this kernel, and it has not", row.Failure)
}

// starve opens the watchdog, and waits to be reset. If somebody presses Ctrl-C it is stopped, where it
// can be (Documentation/watchdog/watchdog-api.rst, magic close).
func (t *tool) starve(root string, row *matrix.Row) int {
	f, err := os.OpenFile(filepath.Join(root, watchdogZero), os.O_WRONLY, 0)
	if err != nil {
		return t.failsBy(err, "trigger: %s", row.Failure)
	}
	fmt.Fprintln(t.out, "The watchdog runs, and nobody feeds it. Ctrl-C stops it, if it can be stopped.")
	<-t.ctx.Done()
	_, err = f.WriteString("V")
	if err := errors.Join(err, f.Close()); err != nil {
		return t.failsBy(err, "trigger: the watchdog cannot be stopped")
	}
	return t.fails(exitRefused, "trigger: the watchdog has been asked to stop")
}

// listTriggers lists all failures.
func (t *tool) listTriggers() int {
	tb := &table{}
	tb.add(cell{"FAILURE", bold}, cell{"", bold}, cell{"HOW, OR WHY NOT", bold})
	for _, f := range crash.Failures() {
		g := triggerOf(f.Name)
		can, c := "yes", good
		if g.never != "" {
			can, c = "no", fair
		}
		how := g.how()
		if other, ok := instead(f.Name); ok {
			how += fmt.Sprintf("; without that driver, since Linux %d.%d, %s", other.since[0], other.since[1], other.how())
		}
		tb.add(cell{f.Name, plain}, cell{can, c}, cell{how, plain})
	}
	t.print(t.out, tb, "")
	return exitOK
}
