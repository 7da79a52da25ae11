package simkernel

// crashKexecAny starts the kernel that is loaded for this, if there is one
// (kernel/kexec_core.c, __crash_kexec).
func (m *Machine) crashKexecAny(*context) {}

// crashSMPSendStop stops the other CPUs so that their registers are kept (crash_smp_send_stop). It
// does so once.
func (m *Machine) crashSMPSendStop(x *context) {
	if m.dying.stopsSent {
		return
	}
	m.dying.stopsSent = true
	m.smpSendStop(x)
}
