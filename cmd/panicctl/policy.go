package main

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/knob"
)

// policyFile is where the policy is by default.
const policyFile = "/etc/rebound.conf"

// policy is what rebound.conf and the kernel's command line say.
type policy struct {
	file string
	// missing says that there is no such file, and that nobody has named it.
	missing bool
	config.Reading
}

// plan is what is to be done about panics.
func (p *policy) plan() knob.Plan { return p.Settings.Panic.Plan }

// policy reads the policy in a file: in that of the machine if there is no name, and in standard input
// for a dash.
func (t *tool) policy(m running, file string) (*policy, error) {
	p := &policy{file: file}
	var (
		text []byte
		err  error
	)
	switch file {
	case "":
		p.file = policyFile
		text, err = os.ReadFile(m.file(policyFile))
		if p.missing = errors.Is(err, fs.ErrNotExist); p.missing {
			err = nil
		}
	case "-":
		p.file = "standard input"
		text, err = io.ReadAll(t.in)
	default:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	// Without a command line there are no words on it.
	line, _ := m.Read("proc/cmdline")
	p.Reading = config.Read(p.file, text, []byte(line))
	return p, nil
}
