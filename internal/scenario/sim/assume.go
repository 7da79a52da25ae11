package sim

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Moment is how long a program is taken to run that init waits for.
const Moment = 100 * time.Millisecond

// Assumption is what a program of an inittab is taken to do, for the model does not know it.
type Assumption struct {
	Line    int // in the inittab
	Command string
	Does    string
}

// modelShell is where the shell lies that reads lines from a terminal.
const modelShell = "/lib/simboot/sh"

// Assume makes programs of all commands of an inittab, and says of each what it is taken to do:
// it exists, and does what its action expects. What the model knows is what it is: echo, also by
// way of the shell, and the commands that ask init to go down.
func Assume(table inittab.Table) (map[string]simkernel.Program, []Assumption) {
	as := assumer{
		does:     make(map[string][]simkernel.Step),
		programs: map[string]simkernel.Program{modelShell: {Shell: true}},
	}
	known := commands()
	for _, e := range table {
		x := inittab.Words(e.Command)
		if x.Path == "" || len(x.Argv) == 0 {
			continue // Init cannot find a program in it, here as on a real machine.
		}
		steps, does := as.steps(e, x)
		if steps == nil {
			continue
		}
		place := place(x)
		if _, there := known[place]; there {
			continue
		}
		as.does[key(x.Argv)] = steps
		as.programs[place] = simkernel.Program{Main: as.main}
		if does != "" {
			as.all = append(as.all, Assumption{e.Line, e.Command, does})
		}
	}
	return as.programs, as.all
}

// assumer gathers assumptions.
type assumer struct {
	does     map[string][]simkernel.Step // by the words of a command
	programs map[string]simkernel.Program
	all      []Assumption
}

func key(argv []string) string { return strings.Join(argv, "\x00") }

// main is every program that is taken to exist.
func (as *assumer) main(argv []string) []simkernel.Step { return as.does[key(argv)] }

// place is where a command's program is put.
func place(x inittab.Exec) string {
	if strings.Contains(x.Path, "/") {
		return path.Clean("/" + x.Path)
	}
	return "/bin/" + x.Path
}

// steps are what an entry's command does, and what is to be said about that: nothing, if it is
// known. No steps at all say that the program is there already.
func (as *assumer) steps(e inittab.Entry, x inittab.Exec) ([]simkernel.Step, string) {
	if text, ok := echoes(x); ok {
		return []simkernel.Step{simkernel.Echo{Text: text}}, ""
	}
	name := strings.TrimPrefix(path.Base(x.Path), "-")
	switch {
	case !x.Shell && (name == "reboot" || name == "halt" || name == "poweroff"):
		sig := map[string]kernel.Signal{
			"reboot": kernel.SIGTERM, "halt": kernel.SIGUSR1, "poweroff": kernel.SIGUSR2,
		}[name]
		return []simkernel.Step{simkernel.Kill{PID: 1, Signal: sig}}, ""
	case e.Action == inittab.Restart && (name == "init" || name == "linuxrc"):
		return nil, ""
	case isShell(x):
		// As shells do on a terminal: so the way down takes the term timeout while one is open.
		return []simkernel.Step{
			simkernel.Ignore{Signal: kernel.SIGTERM}, simkernel.Exec{Argv: []string{modelShell}},
		}, "is a shell that reads lines, prints no prompt, and ignores TERM"
	}
	switch e.Action {
	case inittab.Respawn:
		return []simkernel.Step{simkernel.Pause{}}, "stays until TERM"
	case inittab.AskFirst:
		return []simkernel.Step{simkernel.Pause{}}, "waits for Enter, and then stays until TERM"
	case inittab.Restart:
		return []simkernel.Step{}, "takes the place of init, and what comes then is not known"
	default:
		return []simkernel.Step{simkernel.Sleep{For: Moment}},
			fmt.Sprintf("runs for %s and exits with status 0", Moment)
	}
}

// isShell reports whether a command is a shell without arguments.
func isShell(x inittab.Exec) bool {
	switch path.Base(x.Path) {
	case "sh", "ash", "dash", "bash":
		return !x.Shell && len(x.Argv) == 1
	}
	return false
}

// echoes reports whether a command does nothing but print a text: echo itself, or a shell that is
// told to do so.
func echoes(x inittab.Exec) (text string, ok bool) {
	if !x.Shell {
		if path.Base(x.Path) != "echo" {
			return "", false
		}
		return strings.Join(x.Argv[1:], " "), true
	}
	script, ok := strings.CutPrefix(x.Argv[2], "exec ")
	if !ok {
		return "", false
	}
	if inner, ok := strings.CutPrefix(script, "/bin/sh -c '"); ok {
		if script, ok = strings.CutSuffix(inner, "'"); !ok {
			return "", false
		}
	}
	for _, echo := range []string{"echo ", "/bin/echo "} {
		if text, ok := strings.CutPrefix(script, echo); ok {
			text = strings.Join(strings.Fields(text), " ")
			if in, ok := strings.CutPrefix(text, `"`); ok {
				if text, ok = strings.CutSuffix(in, `"`); !ok {
					return "", false
				}
			}
			// Whatever else means something to the shell, the model does not know.
			return text, !strings.ContainsAny(text, "`\"'\\;|&<>()*?[]~") &&
				!strings.Contains(text, "$$")
		}
	}
	return "", false
}

// Devices are the terminals of an inittab's entries, but the console's.
func Devices(table inittab.Table) []scenario.Terminal {
	var ts []scenario.Terminal
	seen := map[string]bool{consolePath: true, "/dev/console": true, "": true}
	for _, e := range table {
		if name, ok := strings.CutPrefix(e.TTY, "/dev/"); ok && !seen[e.TTY] {
			seen[e.TTY] = true
			ts = append(ts, scenario.Terminal{Name: name})
		}
	}
	return ts
}
