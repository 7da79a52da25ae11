package simkernel

// A machine ends when there is no end to what is done at one instant: PID 1 asks for ever without
// waiting, or processes wake each other up, or fork, for ever.

// workLimit is how much can be done at one instant, and workLimitPerTask how much more for each
// thread of those that were there together. Both are far above what honest work takes.
//
// How many there ever were does not count: of those that end at once there can be any number at one
// instant, and with each of them the limit would rise by more than it has taken to make it.
const (
	workLimit        = 1 << 20
	workLimitPerTask = 256
)

// signalsPerWork is how many signals of one call to many processes are as much as one step.
const signalsPerWork = 16

// toil counts work and ends the machine when there is no end to it.
func (m *Machine) toil() {
	m.work++
	m.steps++
	if m.work > workLimit && m.work > workLimit+workLimitPerTask*m.most {
		m.finish(End{How: Livelocked, Text: "endless work at one instant"})
	}
}

// Steps is how much the machine has done since its boot: calls of PID 1, events and what processes
// do, lines of the kernel log, and functions of a kernel that dies.
func (m *Machine) Steps() uint64 { return m.steps }

// signalled counts the work of a call that has looked at n processes to signal them.
func (m *Machine) signalled(n int) { m.work += n / signalsPerWork }

// addTask counts a thread that is new.
func (m *Machine) addTask() {
	m.tasks++
	m.most = max(m.most, m.tasks)
}
