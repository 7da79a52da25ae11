package simkernel

// Kthread starts a thread of the kernel: a child of kthreadd that does these steps, takes no signals
// and must not end (kernel/kthread.c). A container sees none.
type Kthread struct {
	Name  string
	Steps []Step
}

func (a Kthread) act(m *Machine) {
	kthreadd := m.all.first
	for kthreadd != nil && !kthreadd.is(taskKthread) {
		kthreadd = kthreadd.nextAll
	}
	if kthreadd == nil {
		return
	}
	p, e := m.newProcess(m.root)
	if e != 0 {
		return
	}
	p.flags = taskKthread
	p.ignored = everySignal
	p.argv = []string{a.Name}
	m.setCred(p, kthreadd.cred)
	m.joinGroup(p, kthreadd.group)
	kthreadd.adopt(p)
	p.frame = frame{steps: a.Steps}
	m.wake(p)
}
