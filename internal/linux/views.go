package linux

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// views are PID 1's own mounts of the kernel's file systems. They are attached to nothing, so an
// inittab that mounts /proc itself finds the place free.
type views struct {
	proc int // a directory: 0 not tried, -1 not to be had
	dev  int
	sys  int
}

// procView returns the descriptor of PID 1's own proc.
func (k *Kernel) procView() (int, error) { return view(&k.views.proc, "proc", "/proc") }

// devView returns the descriptor of PID 1's own devtmpfs.
func (k *Kernel) devView() (int, error) { return view(&k.views.dev, "devtmpfs", "/dev") }

// sysView returns the descriptor of PID 1's own sysfs.
func (k *Kernel) sysView() (int, error) { return view(&k.views.sys, "sysfs", "/sys") }

func view(fd *int, fstype, usual string) (int, error) {
	if *fd == 0 {
		*fd = openView(fstype, usual)
	}
	if *fd < 0 {
		return 0, unix.ENODEV
	}
	return *fd, nil
}

func openView(fstype, usual string) int {
	fd, err := above(detached(fstype))
	if err == unix.ENOSYS {
		fd, err = above(mountAndDetach(fstype, usual))
	}
	if err != nil {
		// In a container without CAP_SYS_ADMIN there is what the runtime has mounted.
		fd, err = above(openDir(usual))
		if err == nil && !isMount(fd, fstype) {
			unix.Close(fd)
			err = unix.ENODEV
		}
	}
	if err != nil {
		return -1
	}
	return fd
}

// detached makes a mount that is nowhere in the tree (fsmount(2), Linux 5.2).
func detached(fstype string) (int, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
}

// mountAndDetach does the same on older kernels: mount it, open it, take it away.
func mountAndDetach(fstype, usual string) (int, error) {
	// At the boot any directory will do, for nobody else runs who could look. After a crash of
	// ours services run. So behind the usual place, which the kernel refuses if the same thing is
	// there already, come first those where nobody looks.
	err := error(unix.ENOENT)
	for _, dir := range []string{usual, "/mnt", "/sys", "/tmp", "/dev", "/proc", "/etc"} {
		err = unix.Mount(fstype, dir, fstype, unix.MS_NOSUID|unix.MS_NOEXEC, "")
		if err != nil {
			continue
		}
		fd, err := openDir(dir)
		if uerr := unix.Unmount(dir, unix.MNT_DETACH); err == nil && uerr != nil {
			unix.Close(fd)
			return 0, uerr
		}
		return fd, err
	}
	return 0, err
}

// openDir opens a directory. With O_PATH, kernels before 3.12 would not let fchdir(2) and fstatfs(2)
// have it.
func openDir(path string) (int, error) {
	return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// isMount reports whether fd is on a file system of that type.
func isMount(fd int, fstype string) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return false
	}
	switch fstype {
	case "proc":
		return st.Type == unix.PROC_SUPER_MAGIC
	case "sysfs":
		return st.Type == unix.SYSFS_MAGIC
	}
	return st.Type == unix.TMPFS_MAGIC
}

// Proc reads a file of PID 1's own proc.
func (k *Kernel) Proc(name string) ([]byte, error) {
	dir, err := k.procView()
	if err != nil {
		return nil, err
	}
	return readAt(dir, name)
}

// SetProc writes one.
func (k *Kernel) SetProc(name, value string) error {
	dir, err := k.procView()
	if err != nil {
		return err
	}
	return setAt(dir, name, value)
}

// Sys reads a file of PID 1's own sysfs.
func (k *Kernel) Sys(name string) ([]byte, error) {
	dir, err := k.sysView()
	if err != nil {
		return nil, err
	}
	return readAt(dir, name)
}

// SetSys writes one.
func (k *Kernel) SetSys(name, value string) error {
	dir, err := k.sysView()
	if err != nil {
		return err
	}
	return setAt(dir, name, value)
}

// setAt writes a line into a file.
func setAt(dir int, name, value string) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Some files want the newline that echo(1) writes: kernel.printk_devkmsg counts it.
	_, err = unix.Write(fd, []byte(value+"\n"))
	return err
}

// Reopen opens the file behind fd once more.
func (k *Kernel) Reopen(fd kernel.FD, what kernel.Direction) (kernel.FD, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		// A file never blocks, and one that is opened anew begins at its start.
		return duplicate(fd)
	}
	dir, err := k.procView()
	if err != nil {
		return k.shared(fd)
	}
	flags := unix.O_RDONLY
	if what == kernel.Out {
		flags = unix.O_WRONLY
	}
	name := "self/fd/" + strconv.Itoa(int(fd))
	n, err := above(unix.Openat(dir, name,
		flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0))
	if err == unix.ENXIO {
		return k.shared(fd) // A socket.
	}
	return kernel.FD(n), err
}

func duplicate(fd kernel.FD) (kernel.FD, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	return kernel.FD(n), err
}

// shared is the descriptor of a file that cannot be opened anew, so that it is as blocking as the
// one that children have.
func (k *Kernel) shared(fd kernel.FD) (kernel.FD, error) {
	n, err := duplicate(fd)
	if err == nil {
		k.blocking = append(k.blocking, n)
	}
	return n, err
}
