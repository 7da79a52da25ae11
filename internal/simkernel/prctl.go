package simkernel

// self is what a process knows of itself. Its children share it, until they execute a program.
type self struct {
	environ []string
	name    string
}

// environ is the environment that the program was executed with.
func (p *process) environ() []string {
	if p.self == nil {
		return nil
	}
	return p.self.environ
}

// SetName gives the process a name (PR_SET_NAME, kernel/sys.c).
type SetName struct{ Name string }

func (SetName) step() {}

func (s SetName) do(m *Machine, p *process) verdict {
	p.lead.self = &self{p.lead.environ(), s.Name[:min(len(s.Name), commLen)]}
	return done
}
