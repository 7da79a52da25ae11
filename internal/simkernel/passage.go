package simkernel

import "time"

// Passage is a stay in a function of the kernel, or in a step of one, while it fails or dies. Those
// that happen within it follow it, one deeper.
type Passage struct {
	// Name is the kernel's own for it.
	Name string
	// Depth is 0 for the outermost.
	Depth int
	// From and To are since boot. A stay that has no end lasts until the machine's.
	From, To time.Duration
	// Said and Until count the lines of the kernel log since boot: those from Said on, up to and without
	// Until, have been said meanwhile.
	Said, Until int
}

// Passages are what the kernel has gone through, in the order in which it came to it. There are none
// without Config.Passages.
func (m *Machine) Passages() []Passage {
	all := append([]Passage(nil), m.passages...)
	for i := range all {
		if all[i].To == notYet {
			all[i].To, all[i].Until = m.now, m.said()
		}
	}
	return all
}

// notYet is the end of a passage that has none.
const notYet time.Duration = -1

// passes notes a passage, until the function that it returns is called.
func (m *Machine) passes(name string, depth int) (leave func()) {
	if !m.cfg.Passages {
		return func() {}
	}
	n := len(m.passages)
	m.passages = append(m.passages, Passage{
		Name: name, Depth: depth, From: m.now, To: notYet, Said: m.said(),
	})
	return func() {
		// Code that is thrown out of PID 1 may leave twice.
		if p := &m.passages[n]; p.To == notYet {
			p.To, p.Until = m.now, m.said()
		}
	}
}

// said is how many lines have been said since boot.
func (m *Machine) said() int { return int(m.ring.next()) }
