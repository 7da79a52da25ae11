package stage

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// OpenProc opens a proc of one's own, which is not mounted anywhere.
func OpenProc() (*os.File, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// It can be read only through a descriptor that is no mere path.
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dir), "proc"), nil
}

// keyboard waits until the kernel has found the keyboard, which its driver asks for a second or two
// before it takes keys.
func (p *Plan) keyboard() error {
	if !p.Keyboard {
		return nil
	}
	proc, err := OpenProc()
	if err != nil {
		return err
	}
	defer proc.Close()
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		fd, err := unix.Openat(int(proc.Fd()), "bus/input/devices", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "devices")
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "H:") && strings.Contains(line, "kbd") {
				return nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("there is no keyboard")
}
