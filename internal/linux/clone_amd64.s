#include "textflag.h"

// func clone(trap, a1, a2, a3, a4, a5 uintptr, c *child) (pid uintptr)
TEXT ·clone(SB),NOSPLIT,$0-64
	MOVQ	trap+0(FP), AX
	MOVQ	a1+8(FP), DI
	MOVQ	a2+16(FP), SI
	MOVQ	a3+24(FP), DX
	MOVQ	a4+32(FP), R10
	MOVQ	a5+40(FP), R8
	MOVQ	c+48(FP), R12
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+56(FP)
	RET
child:
	// On the child's own stack. The argument lies where a caller would have put it.
	MOVQ	R12, 0(SP)
	CALL	·runChild(SB)
	INT	$3
