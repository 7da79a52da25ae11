#include "textflag.h"

// func clone(trap, a1, a2, a3, a4, a5 uintptr, c *child) (pid uintptr)
TEXT ·clone(SB),NOSPLIT,$0-32
	MOVW	trap+0(FP), R7
	MOVW	a1+4(FP), R0
	MOVW	a2+8(FP), R1
	MOVW	a3+12(FP), R2
	MOVW	a4+16(FP), R3
	MOVW	a5+20(FP), R4
	MOVW	c+24(FP), R5
	SWI	$0
	CMP	$0, R0
	BEQ	child
	MOVW	R0, pid+28(FP)
	RET
child:
	// On the child's own stack. The argument lies where a caller would have put it, above the
	// place for the link register.
	MOVW	R5, 4(R13)
	CALL	·runChild(SB)
	WORD	$0xe7f001f0	// an undefined instruction
