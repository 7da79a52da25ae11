package pidns

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is a pseudo-terminal whose slave is a console or a /dev/ttyN of a room.
type Terminal struct {
	Name string
	// Minor is the minor number of the slave; its major is PTYMajor.
	Minor  uint32
	master *os.File
	slave  int
	pts    int
	drain  sync.WaitGroup

	mu     sync.Mutex
	hungUp bool
}

// PTYMajor is the major number of the slaves of /dev/ptmx (Documentation/admin-guide/devices.txt).
const PTYMajor = 136

// openTerminal takes a pseudo-terminal from the devpts instance that pts is a mount of.
func openTerminal(pts int, name string) (*Terminal, error) {
	fd, err := unix.Openat(pts, "ptmx",
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open ptmx: %w", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock pty: %w", err)
	}
	minor, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("number of pty: %w", err)
	}
	t := &Terminal{Name: name, Minor: minor, pts: pts}
	if t.slave, err = t.open(); err != nil {
		return nil, err
	}
	t.master = os.NewFile(uintptr(fd), "ptmx")
	return t, nil
}

// open opens the slave once more.
func (t *Terminal) open() (int, error) {
	fd, err := unix.Openat(t.pts, strconv.Itoa(int(t.Minor)),
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open pty %d: %w", t.Minor, err)
	}
	return fd, nil
}

// follow hands on what is written to the terminal until it is hung up or, after release, until
// the last process has closed it.
func (t *Terminal) follow(got func([]byte)) {
	t.drain.Add(1)
	go func() {
		defer t.drain.Done()
		buf := make([]byte, 4096)
		for {
			n, err := t.master.Read(buf)
			if n > 0 {
				got(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
}

// Type writes to the terminal as its keyboard.
func (t *Terminal) Type(text string) error {
	_ = t.master.SetWriteDeadline(time.Now().Add(Patience))
	_, err := io.WriteString(t.master, text)
	return err
}

// HangUp closes the terminal as a serial line that loses its carrier: reads of its slaves give
// end of file, writes fail, and its session leader gets SIGHUP.
func (t *Terminal) HangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.hungUp {
		t.hungUp = true
		unix.Close(t.slave)
		t.master.Close()
	}
}

// release gives up our own hold on the slave, waits until everything written has been read, and
// closes the master. It must be called only when no process of the room is left.
func (t *Terminal) release() {
	t.mu.Lock()
	hungUp := t.hungUp
	t.hungUp = true
	t.mu.Unlock()
	if hungUp {
		t.drain.Wait()
		return
	}
	unix.Close(t.slave)
	_ = t.master.SetReadDeadline(time.Now().Add(Patience))
	t.drain.Wait()
	t.master.Close()
}

// Settings describes the terminal's termios, one item per group, for comparison.
func (t *Terminal) Settings() (string, error) {
	tio, err := unix.IoctlGetTermios(t.slave, unix.TCGETS)
	if err != nil {
		return "", err
	}
	var cc []string
	for _, c := range tio.Cc {
		cc = append(cc, strconv.Itoa(int(c)))
	}
	return fmt.Sprintf("iflag %#o oflag %#o cflag %#o lflag %#o line %d cc %s", tio.Iflag,
		tio.Oflag, tio.Cflag, tio.Lflag, tio.Line, strings.Join(cc, ",")), nil
}

// Disturb sets the terminal to something an init must not leave as it is.
func (t *Terminal) Disturb() error {
	tio, err := unix.IoctlGetTermios(t.slave, unix.TCGETS)
	if err != nil {
		return err
	}
	tio.Iflag = unix.IUTF8 | unix.BRKINT | unix.IMAXBEL | unix.INLCR
	tio.Oflag = unix.OPOST | unix.ONLRET
	tio.Lflag = unix.TOSTOP | unix.NOFLSH
	tio.Cflag |= unix.CSTOPB
	tio.Cc[unix.VINTR] = 1
	tio.Cc[unix.VMIN] = 7
	tio.Cc[unix.VTIME] = 9
	return unix.IoctlSetTermios(t.slave, unix.TCSETS, tio)
}
