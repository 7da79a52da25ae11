package simkernel

import (
	"strconv"
	"strings"
)

// interactiveShell is what a shell without arguments does.
var interactiveShell = []Step{Loop{Do: []Step{shellStep{}}}}

// shellStep reads a line and runs it.
type shellStep struct{}

func (shellStep) step() {}

func (shellStep) do(m *Machine, p *process) verdict {
	if p.frame.begun {
		return m.waitAll(p)
	}
	line, eof, v := m.readLine(p)
	if v != done {
		return v
	}
	words := strings.Fields(string(line))
	switch {
	case eof:
		m.exit(p, 0)
		return gone
	case len(words) == 0:
		return done
	case words[0] == "exit":
		code := 0
		if len(words) > 1 {
			code, _ = strconv.Atoi(words[1])
		}
		return Exit{code}.do(m, p)
	}
	var env []string
	if p.lead.cmd != nil {
		env = p.lead.cmd.Env
	}
	c, e := m.fork(p)
	if e != 0 {
		return Say{"sh: can't fork"}.do(m, p)
	}
	img, e := m.execvp(pathSearch(words[0], env), words, env)
	if e != 0 {
		c.frame = frame{steps: []Step{Say{"sh: " + words[0] + ": not found"}, Exit{127}}}
	} else {
		m.load(c, img)
	}
	p.frame.begun = true
	m.wake(c)
	return m.waitAll(p)
}
