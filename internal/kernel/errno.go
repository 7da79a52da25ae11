package kernel

import "errors"

// ErrnoOf returns the errno that an error is or wraps, or EIO for one that has none.
//
//go:noinline
func ErrnoOf(err error) Errno {
	if errno, ok := errors.AsType[Errno](err); ok {
		return errno
	}
	return EIO
}
