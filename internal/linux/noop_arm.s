#include "textflag.h"

// As in noop.s.
TEXT noop<>(SB),NOSPLIT|NOFRAME,$0-0
	RET

DATA ·noopHandler(SB)/4, $noop<>(SB)
GLOBL ·noopHandler(SB), RODATA, $4
