package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

func (p *parser) cmdline(ts *tokens) error {
	p.s.Machine.Cmdline = strings.Join(ts.words(), " ")
	return nil
}

func (p *parser) args(ts *tokens) error {
	p.s.Machine.Args = ts.words()
	return nil
}

func (p *parser) env(ts *tokens) error {
	for _, w := range ts.words() {
		if i := strings.Index(w, "="); i <= 0 {
			return fmt.Errorf("%q: expected NAME=VALUE", w)
		}
		p.s.Machine.Env = append(p.s.Machine.Env, w)
	}
	return nil
}

func (p *parser) linuxrc(*tokens) error {
	p.s.Machine.Linuxrc = true
	return nil
}

func (p *parser) shell(*tokens) error {
	p.s.Machine.Shell = true
	return nil
}

func (p *parser) disk(*tokens) error {
	p.s.Machine.Disk = true
	return nil
}

// watchdog DRIVER [nowayout] [running].
func (p *parser) watchdog(ts *tokens) error {
	i, err := oneOf(ts, "watchdog", WatchdogDrivers())
	if err != nil {
		return err
	}
	w := Watchdog{Driver: WatchdogDrivers()[i]}
	for ts.more() {
		i, err := oneOf(ts, "kind of watchdog", []string{"nowayout", "running"})
		if err != nil {
			return err
		}
		if i == 0 {
			w.NoWayOut = true
		} else {
			w.Running = true
		}
	}
	p.s.Machine.Watchdogs = append(p.s.Machine.Watchdogs, w)
	return nil
}

func (p *parser) console(ts *tokens) error {
	i, err := oneOf(ts, "kind of console", consoleWords)
	p.s.Machine.Console = Console(i)
	return err
}

// maxCPUs is how many CPUs a machine may have.
const maxCPUs = 8

// cpus N.
func (p *parser) cpus(ts *tokens) error {
	n, err := ts.number("how many CPUs there are", maxCPUs)
	if err == nil && n == 0 {
		err = errors.New("0: expected how many CPUs there are")
	}
	p.s.Machine.CPUs = n
	return err
}

// terminal NAME [stopped] [dead].
func (p *parser) terminal(ts *tokens) error {
	name, err := ts.word("a name such as tty2")
	if err != nil {
		return err
	}
	t := Terminal{Name: strings.TrimPrefix(name, "/dev/")}
	if t.Name == "" || t.Name == consoleSection || strings.ContainsAny(t.Name, "/. ") {
		return fmt.Errorf("%q: expected the name of a device in /dev, and not the console's", name)
	}
	for _, other := range p.s.Machine.Terminals {
		if other.Name == t.Name {
			return fmt.Errorf("a second terminal %q", t.Name)
		}
	}
	for ts.more() {
		i, err := oneOf(ts, "kind of terminal", []string{"stopped", "dead"})
		if err != nil {
			return err
		}
		if i == 0 {
			t.Stopped = true
		} else {
			t.Dead = true
		}
	}
	p.s.Machine.Terminals = append(p.s.Machine.Terminals, t)
	return nil
}

func (p *parser) machine(*tokens) error { return p.privilege(Own) }

// container [unprivileged].
func (p *parser) container(ts *tokens) error {
	if !ts.more() {
		return p.privilege(Container)
	}
	if _, err := oneOf(ts, "kind of container", []string{"unprivileged"}); err != nil {
		return err
	}
	return p.privilege(Unprivileged)
}

func (p *parser) privilege(v Privilege) error {
	if was := p.s.Machine.Privilege; was != Any && was != v {
		return fmt.Errorf("this is `%s`, after `%s`: expected one of them",
			privilegeLine(v), privilegeLine(was))
	}
	p.s.Machine.Privilege = v
	return nil
}

func privilegeLine(v Privilege) string {
	if v == Own {
		return "machine"
	}
	return v.String()
}

// Calls are the system calls that can be made to fail.
func Calls() []string {
	return []string{"fork", "exec", "reboot", "sync", "open", "kill", "mount"}
}

// fail CALL [N] ERRNO.
func (p *parser) fail(ts *tokens) error {
	i, err := oneOf(ts, "call that can be made to fail", Calls())
	if err != nil {
		return err
	}
	f := Fault{Line: p.line, Call: Calls()[i]}
	if len(ts.all) > 1 {
		const most = 1 << 20
		if f.N, err = ts.number("which call of the name, counted from 1", most); err != nil {
			return err
		}
		if f.N == 0 {
			return errors.New("0: expected which call of the name, counted from 1")
		}
	}
	if f.Errno, err = errno(ts); err != nil {
		return err
	}
	p.s.Machine.Faults = append(p.s.Machine.Faults, f)
	return nil
}

// errno takes the name of an error.
func errno(ts *tokens) (kernel.Errno, error) {
	w, err := ts.word("an error such as EAGAIN")
	if err != nil {
		return 0, err
	}
	const last = kernel.Errno(133) // EHWPOISON (include/uapi/asm-generic/errno.h)
	var names []string
	for e := kernel.Errno(1); e <= last; e++ {
		name := unix.ErrnoName(e)
		if name == w {
			return e, nil
		}
		if name != "" {
			names = append(names, name)
		}
	}
	err = unknown("error", w, names)
	if len(err.Error()) > 100 {
		err = fmt.Errorf("%q is no error: expected a name of errno(3) such as EAGAIN", w)
	}
	return 0, err
}

// slow THING TIME|never.
func (p *parser) slow(ts *tokens) error {
	things := []string{"sync", "exec", "reboot"}
	i, err := oneOf(ts, "thing that can be slow", things)
	if err != nil {
		return err
	}
	if ts.is("never") {
		p.s.Machine.Slow[things[i]] = kernel.Never
		return nil
	}
	p.s.Machine.Slow[things[i]], err = ts.span()
	return err
}

// returns halt|poweroff.
func (p *parser) returns(ts *tokens) error {
	words := []string{"halt", "poweroff"}
	i, err := oneOf(ts, "command of reboot(2) that can come back", words)
	if err == nil && !slices.Contains(p.s.Machine.Returns, words[i]) {
		p.s.Machine.Returns = append(p.s.Machine.Returns, words[i])
	}
	return err
}

func (p *parser) lasts(ts *tokens) (err error) {
	p.s.Lasts, err = ts.span()
	if err == nil && p.s.Lasts == 0 {
		err = errors.New("0s: expected a time that something can happen in")
	}
	p.ends = true
	return err
}

// not WORLD, WORLD: REASON.
func (p *parser) not(ts *tokens) error {
	worlds, why, err := worldsAndReason(ts)
	for _, w := range worlds {
		p.s.Not[w] = why
	}
	return err
}

// only WORLD, WORLD: REASON.
func (p *parser) only(ts *tokens) error {
	worlds, why, err := worldsAndReason(ts)
	for _, w := range Worlds() {
		if err == nil && !slices.Contains(worlds, w) {
			p.s.Not[w] = why
		}
	}
	return err
}

func worldsAndReason(ts *tokens) (worlds []string, why string, err error) {
	names, why, ok := strings.Cut(strings.Join(ts.words(), " "), ":")
	why = strings.TrimSpace(why)
	if !ok || why == "" {
		return nil, "", fmt.Errorf("%q: expected WORLD: REASON", names)
	}
	for _, w := range strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == ',' }) {
		named := WorldsNamed(w)
		if named == nil {
			return nil, "", unknown("world", w, WorldNames())
		}
		worlds = append(worlds, named...)
	}
	if len(worlds) == 0 {
		return nil, "", fmt.Errorf("no world before the colon: expected %s", list(WorldNames()))
	}
	return worlds, why, nil
}
