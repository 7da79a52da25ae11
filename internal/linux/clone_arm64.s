#include "textflag.h"

// func clone(trap, a1, a2, a3, a4, a5 uintptr, c *child) (pid uintptr)
TEXT ·clone(SB),NOSPLIT,$0-64
	MOVD	trap+0(FP), R8
	MOVD	a1+8(FP), R0
	MOVD	a2+16(FP), R1
	MOVD	a3+24(FP), R2
	MOVD	a4+32(FP), R3
	MOVD	a5+40(FP), R4
	MOVD	c+48(FP), R19
	SVC
	CBZ	R0, child
	MOVD	R0, pid+56(FP)
	RET
child:
	// On the child's own stack. The argument lies where a caller would have put it, above the
	// place for the link register.
	MOVD	R19, 8(RSP)
	CALL	·runChild(SB)
	BRK
