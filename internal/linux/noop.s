//go:build !arm

#include "textflag.h"

// A signal handler that does nothing. It needs nothing of Go, and the kernel has put the address of
// the way back where a caller would have put it.
TEXT noop<>(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·noopHandler(SB)/8, $noop<>(SB)
GLOBL ·noopHandler(SB), RODATA, $8
