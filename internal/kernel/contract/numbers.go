package contract

import "syscall"

const (
	eacces  = syscall.EACCES
	ebadf   = syscall.EBADF
	enotdir = syscall.ENOTDIR
	sigstop = syscall.SIGSTOP
)
