package esr

import "syscall"

// An Access is a memory access that has failed. What the two registers do not tell is false if nothing
// is known of it: that is a kernel which should not have touched the address.
type Access struct {
	ESR ESR
	FAR uint64
	// User says that a program has done it, and not the kernel.
	User bool
	// NoContext says that the kernel may not take a page fault: in an interrupt, with page
	// faults off, or in a thread of its own, which has no memory.
	NoContext bool
	// Fixup says that the instruction is in the exception table, as those of copy_from_user.
	Fixup bool
	// Mapped says that the process may do what was done, and the page is there by now.
	Mapped bool
	// Area says that the process has something at the address, but may not do this to it.
	Area bool
	// Spurious says that the processor, asked again, finds a translation.
	Spurious bool
	// KernelDS says that set_fs(KERNEL_DS) is in force, up to 5.10.
	KernelDS bool
	// Claimed says that firmware has taken an external abort of a program's as its own (APEI).
	Claimed bool
	// Walk is what the page tables have for the address.
	Walk Walk
}

// A Death is what becomes of an access.
type Death struct {
	Fate Fate
	// Err is the number that die() prints.
	Err uint64
	// Address is the one that is printed, or that a process is told.
	Address uint64
	// Lines are what is said before die().
	Lines []Line
	// MachineCheck says that the kernel is tainted with one.
	MachineCheck bool
	// Path are the functions that have decided, from do_mem_abort on.
	Path []string
}

// MemAbort is do_mem_abort: what becomes of an access that has failed (arch/arm64/mm/fault.c).
func (v Version) MemAbort(a Access) Death {
	if v.data().short {
		a.ESR = ESR(uint32(a.ESR))
	}
	m := failure{Version: v, Access: a, info: v.Fault(a.ESR.Abort().FSC)}
	m.addr = Untagged(a.FAR)
	m.out.Path = []string{"do_mem_abort"}
	m.abort()
	m.out.Err = v.Err(m.out.Fate, m.ESR)
	return m.out
}

// failure is one access on its way through the functions of mm/fault.c.
type failure struct {
	Version
	Access
	info FaultInfo
	addr uint64 // without its tag
	out  Death
}

func (m *failure) pass(function string) { m.out.Path = append(m.out.Path, function) }

// abort is do_mem_abort: what the handler of the status leaves is its own.
func (m *failure) abort() {
	m.pass(m.info.Handler.String())
	switch m.info.Handler {
	case DoTranslationFault:
		// An address of a process may be served, one of the kernel's never is.
		if SpaceOf(m.addr) == UserSpace {
			m.pass("do_page_fault")
			m.pageFault()
			return
		}
		m.badArea()
	case DoPageFault:
		m.pageFault()
	case DoSEA:
		m.externalAbort()
	case DoTagCheckFault, DoAlignmentFault:
		m.badArea()
	default:
		m.left()
	}
}

// left is the rest of do_mem_abort, after do_bad.
func (m *failure) left() {
	if m.User {
		m.signal(m.info.Signal, m.info.Code)
		return
	}
	if !m.data().unhandled {
		m.dieKernelFault(m.info.Name)
		return
	}
	m.out.Lines = append(
		[]Line{{Alert, "Unhandled fault at " + hex64(m.addr), "do_mem_abort"}}, m.decoded()...)
	m.notifyDie()
}

// decoded is what the register and the page tables say.
func (m *failure) decoded() []Line {
	return append(m.Version.Decode(m.ESR), m.Walk.lines(m.addr)...)
}

// badArea is do_bad_area: nothing there could be served.
func (m *failure) badArea() {
	m.pass("do_bad_area")
	if m.User {
		m.signal(m.info.Signal, m.info.Code)
		return
	}
	m.kernelFault()
}

// pageFault is do_page_fault: perhaps the process has memory there.
func (m *failure) pageFault() {
	if m.NoContext {
		// A program has a context, and takes its faults outside of interrupts.
		m.kernelFault()
		return
	}
	if SpaceOf(m.addr) == UserSpace && m.kernelDenied() {
		switch {
		case m.KernelDS && m.data().kernelDS:
			m.dieKernelFault("access to user memory with fs=KERNEL_DS")
			return
		case m.ESR.EC() == IAbort:
			m.dieKernelFault("execution of user memory")
			return
		case !m.Fixup:
			m.dieKernelFault("access to user memory outside uaccess routines")
			return
		}
	}
	switch {
	case m.Mapped:
		m.out.Fate = Fate{Kind: Served}
	case m.User:
		// What do_page_fault has found out counts, and not the table.
		code := Code("SEGV_MAPERR")
		if m.Area {
			code = "SEGV_ACCERR"
		}
		m.signal(syscall.SIGSEGV, code)
	default:
		m.kernelFault()
	}
}

// kernelDenied is is_el1_permission_fault, where PAN is the processor's and not made by TTBR0, as in
// Debian's kernels.
func (m *failure) kernelDenied() bool {
	c := m.ESR.EC()
	return (c == DAbort || c == IAbort) && m.ESR.Abort().FSC.Permission()
}

// kernelFault is __do_kernel_fault: the kernel has touched what it must not. Unless the instruction
// was meant to fail it dies, and this chooses the words.
func (m *failure) kernelFault() {
	m.pass("__do_kernel_fault")
	fetch := m.ESR.EC() == IAbort
	abort := m.ESR.Abort()
	switch {
	case m.Fixup && !fetch:
		m.out.Fate = Fate{Kind: Served}
	case m.Spurious && m.ESR.EC() == DAbort && abort.FSC.Translation():
		m.out.Fate = Fate{Kind: Served}
		m.out.Lines = []Line{{
			Warning, "Ignoring spurious kernel translation fault at virtual address " +
				bare64(m.addr), "__do_kernel_fault",
		}}
	case m.data().recoversTags && m.ESR.EC() == DAbort && abort.FSC == TagCheck:
		m.out.Fate = Fate{Kind: Served}
		m.pass("do_tag_recovery")
	case m.kernelDenied() && abort.WnR:
		m.dieKernelFault("write to read-only memory")
	case m.kernelDenied() && fetch:
		m.dieKernelFault("execute from non-executable memory")
	case m.kernelDenied():
		m.dieKernelFault("read from unreadable memory")
	case m.addr < pageSize:
		m.dieKernelFault("NULL pointer dereference")
	default:
		m.dieKernelFault("paging request")
	}
}

// dieKernelFault is die_kernel_fault. Behind die() it would kill the task with SIGKILL, but die() has
// ended it with SIGSEGV by then; it comes back only if a die notifier wants the task to live.
func (m *failure) dieKernelFault(what string) {
	m.pass("die_kernel_fault")
	m.out.Lines = append([]Line{{
		Alert, "Unable to handle kernel " + what + " at virtual address " + bare64(m.addr),
		"die_kernel_fault",
	}}, m.decoded()...)
	m.out.Fate = Fate{Kind: Dies, Die: "Oops"}
	m.out.Address = m.addr
}

// externalAbort is do_sea: the memory itself has failed. There is no line before die().
func (m *failure) externalAbort() {
	if m.User && m.Claimed {
		m.out.Fate = Fate{Kind: Served}
		return
	}
	m.out.MachineCheck = m.data().taints
	m.notifyDie()
	if m.ESR.Abort().FnV {
		m.out.Address = 0
	}
}

// notifyDie is arm64_notify_die: a program is sent the signal of the table, the kernel dies of the
// table's name.
func (m *failure) notifyDie() {
	m.pass("arm64_notify_die")
	if m.User {
		m.signal(m.info.Signal, m.info.Code)
		return
	}
	m.out.Fate = Fate{Kind: Dies, Die: m.info.Name, Notify: true}
	m.out.Address = m.addr
}

// Err is the number that die() prints. 5.10 makes an int of it on the way through arm64_notify_die,
// and all classes from 0x20 on make that a negative one.
func (v Version) Err(f Fate, e ESR) uint64 {
	if f.Notify && v.data().signed {
		return uint64(int64(int32(e)))
	}
	return uint64(e)
}

// signal is what a program gets.
func (m *failure) signal(s syscall.Signal, c Code) {
	m.out.Fate = Fate{Kind: Signals, Signal: s, Code: c, What: m.info.Name}
	m.out.Address = m.addr
}

// UserESR is the register as a program's signal handler finds it (set_thread_esr). Of an address that
// is not a program's it is told nothing but what it did, as if nothing were mapped there.
func (v Version) UserESR(a Access) ESR {
	if SpaceOf(Untagged(a.FAR)) == UserSpace {
		return a.ESR
	}
	const faultL0 = translation
	switch a.ESR.EC() {
	case DAbortLower:
		return a.ESR&(ecMask<<ecShift|ilBit|cmBit|wnrBit) | faultL0
	case IAbortLower:
		return a.ESR&(ecMask<<ecShift|ilBit) | faultL0
	}
	return 0
}
