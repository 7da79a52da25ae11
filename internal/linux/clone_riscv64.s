#include "textflag.h"

// func clone(trap, a1, a2, a3, a4, a5 uintptr, c *child) (pid uintptr)
TEXT ·clone(SB),NOSPLIT,$0-64
	MOV	trap+0(FP), A7
	MOV	a1+8(FP), A0
	MOV	a2+16(FP), A1
	MOV	a3+24(FP), A2
	MOV	a4+32(FP), A3
	MOV	a5+40(FP), A4
	MOV	c+48(FP), S2
	ECALL
	BEQZ	A0, child
	MOV	A0, pid+56(FP)
	RET
child:
	// On the child's own stack. The argument lies where a caller would have put it, above the
	// place for the return address.
	MOV	S2, 8(X2)
	CALL	·runChild(SB)
	EBREAK
