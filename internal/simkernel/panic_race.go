package simkernel

// PanicTwice is a panic on two CPUs at once, or, where there is only one, in a panic notifier.
type PanicTwice struct{ First, Second string }

func (f PanicTwice) fail(m *Machine, x *context) {
	m.others(x.cpu, func(c *cpu) {
		if m.dying.rival == nil && c.takesInterrupts() {
			m.dying.rival = &rival{context{cpu: c, who: idleTask(c.id)}, f.Second}
		}
	})
	if m.dying.rival == nil {
		m.dying.rival = &rival{*x, f.Second}
	}
	m.panic(x, "%s", f.First)
}

// rival is a CPU that panics as soon as another has begun to.
type rival struct {
	context
	text string
}

// rivalPanics lets the rival of a CPU panic, if it has one and this is the place: behind what makes
// the first CPU the one that goes on, and for a rival on the same CPU before the notifiers, as one of
// them that comes first.
func (m *Machine) rivalPanics(r *panicRun, s panicStep) {
	v := m.dying.rival
	if v == nil || r.context == &v.context {
		return
	}
	same := v.cpu == r.cpu
	switch s {
	case panicCPU, panicTrylock, panicMessage:
		if same {
			return
		}
	case panicNotifiers:
		if !same {
			return
		}
	default:
		return
	}
	m.dying.rival = nil
	if !same && s == panicMessage {
		// 2.6 keeps nobody out: the rival gets as far as the first CPU lets it.
		m.panicSays(&panicRun{context: &v.context, text: v.text})
		return
	}
	m.panic(&v.context, "%s", v.text)
}
