package simkernel

import "fmt"

// faultARM64 is die_kernel_fault (arch/arm64/mm/fault.c).
func faultARM64(m *Machine, x *context, f access) fault86 {
	what := "paging request"
	if f.null() {
		what = "NULL pointer dereference"
	}
	d := fault86{str: "Oops", err: 0x96000046}
	if f.read {
		d.err = 0x96000006
	}
	d.lines = []saying{{alert, "Unable to handle kernel " + what +
		fmt.Sprintf(" at virtual address %016x", f.addr)}}
	return d
}
