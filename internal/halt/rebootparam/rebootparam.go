// Package rebootparam is the agreement between the reboot command and PID 1 about the argument of
// "reboot ARG": where it lies and how it is written.
//
// A signal carries no text, so the command leaves the argument in a file, sends SIGTERM, and PID 1
// reads the file when the way down to a restart begins. PID 1 then removes it, and also removes
// what it finds at its own start, so that an argument is used for one restart at most. The package
// is pure: PID 1 reads through its kernel seam.
//
// PID 1 must take the file only if it is a regular file that belongs to root and that nobody else
// may write, and must open it without following a symbolic link: /run may be a directory that the
// user made, not the tmpfs it ought to be.
package rebootparam

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// Dir is made by whoever comes first, with mode 0700.
	Dir = "/run/rebound"
	// Name is the file's name in Dir.
	Name = "reboot-param"
	// Path is where the file lies.
	Path = Dir + "/" + Name

	// MaxLen is the longest argument in bytes: reboot(2) cuts what is longer (kernel/reboot.c,
	// LINUX_REBOOT_CMD_RESTART2).
	MaxLen = 255
	// MaxFile is the longest file that Decode accepts, in bytes. Reading one byte more is enough
	// to see that a file is none of ours.
	MaxFile = MaxLen + 1
)

// Errors of Encode and Decode, for errors.Is.
var (
	ErrEmpty   = errors.New("is empty")
	ErrTooLong = fmt.Errorf("is longer than %d bytes", MaxLen)
	ErrControl = errors.New("contains a control character")
	ErrCut     = errors.New("does not end with a newline: not written to its end")
)

// Encode returns the content of the file for an argument: the argument and a newline.
//
// Control characters are refused, for the kernel prints the argument on the console as it is
// ("reboot: Restarting system with command '...'"). Bytes above 0x7f pass.
func Encode(arg string) ([]byte, error) {
	if err := check(arg); err != nil {
		return nil, fmt.Errorf("reboot argument %w", err)
	}
	return append([]byte(arg), '\n'), nil
}

// Decode returns the argument in a file's content. The newline at the end shows that the file was
// written as a whole. An error says what is wrong with it and never contains the content, so that
// it can be printed anywhere.
func Decode(content []byte) (string, error) {
	arg, whole := bytes.CutSuffix(content, []byte{'\n'})
	if !whole && len(content) <= MaxLen {
		return "", fmt.Errorf("%s %w", Path, ErrCut)
	}
	if err := check(string(arg)); err != nil {
		return "", fmt.Errorf("%s %w", Path, err)
	}
	return string(arg), nil
}

func check(arg string) error {
	if arg == "" {
		return ErrEmpty
	}
	if len(arg) > MaxLen {
		return ErrTooLong
	}
	for i := range len(arg) {
		if arg[i] < ' ' || arg[i] == 0x7f {
			return ErrControl
		}
	}
	return nil
}
