package simkernel

import (
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The steps with which programs handle texts. Where a call fails they say the path and the error.
type (
	// PutText writes a file, as open(2) with O_CREAT and O_TRUNC or O_APPEND does.
	PutText struct {
		Path, Text string
		AtEnd      bool
	}
	// SayFile says the lines of a file.
	SayFile struct{ Path string }
	// Unlink removes a file.
	Unlink struct{ Path string }
	// SayEnv says a variable of the environment that the program was executed with.
	SayEnv struct{ Name string }
)

func (PutText) step() {}
func (SayFile) step() {}
func (Unlink) step()  {}
func (SayEnv) step()  {}

func (s PutText) do(m *Machine, p *process) verdict {
	flags := syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC
	if s.AtEnd {
		flags = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_APPEND
	}
	f, e := m.open(p, s.Path, flags, 0o644)
	if e == 0 && f.tty != nil {
		return m.say(p, f, []byte(s.Text))
	}
	if e == 0 {
		_, e = m.write(p, f, []byte(s.Text))
	}
	if e != 0 {
		return p.complain(s.Path, e)
	}
	return done
}

func (s SayFile) do(m *Machine, p *process) verdict {
	_, text, e := m.readFile(p, s.Path, followLast)
	if e != 0 {
		return p.complain(s.Path, e)
	}
	if len(text) == 0 {
		return done
	}
	return p.say(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
}

func (s Unlink) do(m *Machine, p *process) verdict {
	if e := m.unlink(p, s.Path, false); e != 0 {
		return p.complain(s.Path, e)
	}
	return done
}

func (s SayEnv) do(m *Machine, p *process) verdict {
	for _, v := range p.lead.environ() {
		if strings.HasPrefix(v, s.Name+"=") {
			return p.say(v)
		}
	}
	return p.say(s.Name + " is not set")
}

// complain says that something at a path has failed.
func (p *process) complain(path string, e kernel.Errno) verdict {
	return p.say(path + ": " + e.Error())
}

// say lets the process say lines before it goes on with the next step.
func (p *process) say(lines ...string) verdict {
	steps := make([]Step, 0, len(lines))
	for _, l := range lines {
		steps = append(steps, Say{l})
	}
	p.frame.next()
	p.frames = append(p.frames, p.frame)
	p.frame = frame{steps: steps}
	return jumped
}
