package simkernel

import (
	"path"
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
	if e := m.putText(m.abs(s.Path), s.Text, s.AtEnd); e != 0 {
		return p.complain(s.Path, e)
	}
	return done
}

// putText writes a file, or makes it in a directory that is there.
func (m *Machine) putText(at, text string, atEnd bool) kernel.Errno {
	switch e := m.lookup(at); {
	case e == syscall.ENOTDIR:
		return e
	case e == 0 && m.isDir(at):
		return kernel.EISDIR
	case e != 0:
		switch e := m.lookup(path.Dir(at)); {
		case e != 0:
			return e
		case !m.isDir(path.Dir(at)):
			return syscall.ENOTDIR
		}
	}
	var before []byte
	if f := m.files[at]; f != nil {
		if f.null {
			return 0
		}
		if atEnd {
			before = f.content
		}
	}
	WriteFile{at, string(before) + text}.act(m)
	return 0
}

func (s SayFile) do(m *Machine, p *process) verdict {
	f, e := m.read(s.Path)
	if e != 0 {
		return p.complain(s.Path, e)
	}
	if len(f.content) == 0 {
		return done
	}
	return p.say(strings.Split(strings.TrimSuffix(string(f.content), "\n"), "\n")...)
}

func (s Unlink) do(m *Machine, p *process) verdict {
	at := m.abs(s.Path)
	if e := m.lookup(at); e != 0 {
		return p.complain(s.Path, e)
	}
	if m.isDir(at) {
		return p.complain(s.Path, kernel.EISDIR)
	}
	m.remove(at)
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
