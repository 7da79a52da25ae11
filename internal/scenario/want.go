package scenario

// Want is an expectation.
type Want struct {
	Line int    // in the scenario
	Text string // as it stands there
	// Is is what is expected.
	Is Expectation
}

// Expectation is what a Want expects.
type Expectation interface{ expectation() }

// Bound compares a time or a number.
type Bound struct {
	Op string // "<", "<=", "=", ">=", ">"
	By int64  // nanoseconds, or how many
}

// The expectations. Lines are looked for on all terminals.
type (
	// WantEnd is how the play ends; Status counts with Exit.
	WantEnd struct {
		How    How
		Status int
	}
	// WantDown is how long the way down takes: from the first event that asks for it, else
	// from the start of PID 1.
	WantDown struct{ Bound Bound }
	// WantOrder: the first occurrences of the lines come in this order.
	WantOrder struct{ Lines []string }
	// WantLine: when a line first stands on a terminal, since the start of PID 1.
	WantLine struct {
		Text  string
		Bound Bound
	}
	// WantSpan: how long after the first occurrence of From that of To comes.
	WantSpan struct {
		From, To string
		Bound    Bound
	}
	// WantCount: how often a line stands on the terminals.
	WantCount struct {
		Text  string
		Bound Bound
	}
	// WantFile: the text of a file at the end, or that there is none.
	WantFile struct {
		Path   string
		Text   string
		Absent bool
	}
	// WantThen: what becomes of the machine when its kernel has died, and how long that
	// takes; without an operator it may take any time.
	WantThen struct {
		Then  Then
		Bound Bound
	}
	// WantKernel: whether the kernel has said a line that has this text in it.
	WantKernel struct {
		Text   string
		Absent bool
	}
	// WantParent: what the parent of PID 1 sees, where there is one.
	WantParent struct{ Sees string }
)

func (WantEnd) expectation()    {}
func (WantDown) expectation()   {}
func (WantOrder) expectation()  {}
func (WantLine) expectation()   {}
func (WantSpan) expectation()   {}
func (WantCount) expectation()  {}
func (WantFile) expectation()   {}
func (WantThen) expectation()   {}
func (WantKernel) expectation() {}
func (WantParent) expectation() {}

// WantedFiles are the paths that a world must look at when the play is over.
func (s *Scenario) WantedFiles() []string {
	var paths []string
	for _, w := range s.Wants {
		if f, ok := w.Is.(WantFile); ok {
			paths = append(paths, f.Path)
		}
	}
	return paths
}
