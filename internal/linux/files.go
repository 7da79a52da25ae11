package linux

import (
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// ReadFile returns a whole file.
func (k *Kernel) ReadFile(path string) ([]byte, error) {
	return readInto(k.bootRoom, unix.AT_FDCWD, path)
}

// ReadTrusted reads a file that only root can have written.
func (k *Kernel) ReadTrusted(path string) ([]byte, error) {
	const othersWrite = 0o022
	// A directory on the way may be a link of root's, as /run to /var/run; the file may not.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 0 || st.Mode&othersWrite != 0 {
		return nil, kernel.EPERM
	}
	return readAll(fd)
}

func readAt(dir int, path string) ([]byte, error) { return readInto(nil, dir, path) }

// readInto reads a file into the room, or other memory if there is too little of it.
func readInto(room []byte, dir int, path string) ([]byte, error) {
	// Without O_NONBLOCK, a fifo in place of the file would be waited for.
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAllInto(room, fd)
}

func readAll(fd int) ([]byte, error) { return readAllInto(nil, fd) }

func readAllInto(room []byte, fd int) ([]byte, error) {
	// The file's size is a hint only: those of proc have none.
	var st unix.Stat_t
	size := 512
	if unix.Fstat(fd, &st) == nil && st.Size >= int64(size) {
		size = int(min(st.Size, kernel.MaxFile)) + 1
	}
	b := room[:0]
	if cap(b) < size {
		b = make([]byte, 0, size)
	}
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := again(func() (int, error) { return unix.Read(fd, b[len(b):cap(b)]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return b, nil
		}
		b = b[:len(b)+n]
		if len(b) > kernel.MaxFile {
			return nil, kernel.EFBIG
		}
	}
}

// Exists reports whether there is something at path.
func (k *Kernel) Exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }

// Remove deletes a file.
func (k *Kernel) Remove(path string) error { return unix.Unlink(path) }

// WriteAt writes into a file that exists.
func (k *Kernel) WriteAt(path string, b []byte, off int64) error {
	flags := unix.O_WRONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	if off == kernel.AtEnd {
		flags |= unix.O_APPEND
	}
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if off == kernel.AtEnd {
		_, err = unix.Write(fd, b)
		return err
	}
	_, err = unix.Pwrite(fd, b, off)
	return err
}

// Mount mounts a kernel file system.
func (k *Kernel) Mount(m kernel.Mount) error {
	const dirMode = 0o755
	if err := unix.Mkdir(m.Target, dirMode); err != nil && err != unix.EEXIST {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(m.Target, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		// Somebody has decided where it leads, and something may be mounted there.
		return unix.ELOOP
	}
	return unix.Mount(m.Type, m.Target, m.Type, m.Flags, m.Data)
}
