package linux

import (
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	tag      = "init: "
	facility = 3 << 3 // LOG_DAEMON
	// maxRecord is what fits in a record of the kernel log, with what the kernel adds
	// (LOG_LINE_MAX of kernel/printk).
	maxRecord = 960
	devLog    = "/dev/log"
)

// logger is the kernel log and syslog behind one logrus logger. Neither is ever waited for.
//
// It formats and writes for both by itself: a hook for syslog would double what a line costs, and
// init writes one for each service it starts.
type logger struct {
	*logrus.Logger
	kmsg   kmsg
	syslog syslog
	// The entry that is being written, and its text: the same room each time. Logrus's own way
	// copies the entry, which is a piece of garbage for each service that is started.
	entry  logrus.Entry
	record []byte
}

func newLogger(poll *poller) *logger {
	l := &logger{syslog: syslog{poll: poll}}
	l.Logger = &logrus.Logger{
		Out:       l,
		Formatter: l,
		Hooks:     make(logrus.LevelHooks),
		Level:     logrus.DebugLevel,
		ExitFunc:  func(int) {}, // PID 1 does not exit
	}
	l.SetNoLock() // one goroutine logs
	return l
}

// Log writes one line to the kernel log and to syslog.
func (k *Kernel) Log(level kernel.Level, text string) {
	k.log.kmsg.open(k)
	l := k.log
	l.entry = logrus.Entry{
		Logger: l.Logger, Time: time.Now(), Level: logrusLevel(level), Message: text,
	}
	// Neither can fail: both are ours.
	record, _ := l.entry.Bytes()
	_, _ = l.Out.Write(record)
}

// FollowLog opens the kernel log for reading.
func (k *Kernel) FollowLog(from kernel.LogStart) (kernel.FD, error) {
	if k.contained {
		return 0, kernel.EPERM
	}
	dir, err := k.devView()
	if err != nil {
		return 0, err
	}
	fd, err := above(unix.Openat(dir, "kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0))
	if err != nil {
		return 0, err
	}
	if from == kernel.LogEnd {
		if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
			unix.Close(fd)
			return 0, err
		}
	}
	return kernel.FD(fd), nil
}

// Format makes a record of the kernel log. All have level debug, for what the user must see PID 1
// has printed on the console itself, and the kernel would print it there a second time. The newline
// closes the record: without it the kernel waits for more.
func (l *logger) Format(e *logrus.Entry) ([]byte, error) {
	text := e.Message
	if len(text) > maxRecord {
		text = text[:maxRecord]
	}
	b := append(l.record[:0], prefix(int(kernel.Debug))...)
	b = append(b, tag...)
	b = append(b, text...)
	b = appendLost(b, l.kmsg.lost)
	l.record = append(b, '\n')
	return l.record, nil
}

// Write hands the record on.
func (l *logger) Write(record []byte) (int, error) {
	l.kmsg.write(record)
	l.syslog.log(&l.entry)
	return len(record), nil
}

func appendLost(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	return append(b, " ("+strconv.Itoa(n)+" lines before this one were lost)"...)
}

// NoSyslog stops the copies to syslog.
func (k *Kernel) NoSyslog() { k.log.syslog.off = true }

func logrusLevel(l kernel.Level) logrus.Level {
	switch l {
	case kernel.Error:
		return logrus.ErrorLevel
	case kernel.Warning:
		return logrus.WarnLevel
	case kernel.Info:
		return logrus.InfoLevel
	case kernel.Debug:
		return logrus.DebugLevel
	}
	return logrus.InfoLevel
}

func syslogLevel(l logrus.Level) int {
	switch l {
	case logrus.ErrorLevel:
		return int(kernel.Error)
	case logrus.WarnLevel:
		return int(kernel.Warning)
	case logrus.DebugLevel:
		return int(kernel.Debug)
	}
	return int(kernel.Info)
}

func prefix(level int) string { return "<" + strconv.Itoa(facility|level) + ">" }

// kmsg is /dev/kmsg, unless we are in a container: there it is the host's. A write is one record and does not wait.
type kmsg struct {
	fd   int // 0 as long as it is not to be had
	lost int
	next time.Duration // when to try opening it again
}

func (w *kmsg) open(k *Kernel) {
	if w.fd > 0 || k.contained || k.Now() < w.next {
		return
	}
	// It may come later, with a /dev that the inittab mounts.
	const retry = 5 * time.Second
	w.next = k.Now() + retry
	fd, err := above(unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0))
	if err != nil {
		var dev int
		if dev, err = k.devView(); err == nil {
			fd, err = above(unix.Openat(dev, "kmsg",
				unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0))
		}
	}
	if err != nil {
		return
	}
	w.fd = fd
	// Else the kernel drops all but ten of our lines in five seconds. It refuses this where
	// the boot line has said something about it, which is then what the user wants.
	_ = k.SetProc("sys/kernel/printk_devkmsg", "on")
}

func (w *kmsg) write(record []byte) {
	if w.fd <= 0 {
		return
	}
	if _, err := unix.Write(w.fd, record); err != nil {
		w.lost++
	} else {
		w.lost = 0
	}
}

const (
	// noDaemon is for how long a syslog daemon that is not there is not looked for again.
	noDaemon = 100 * time.Millisecond
	// maxQueue is how many lines wait for a daemon that is slower than init. The kernel holds
	// ten more (net.unix.max_dgram_qlen).
	maxQueue = 256
)

// syslog is the socket of a syslog daemon, in the form that syslog(3) uses. A daemon that does not
// read must not stop PID 1: then lines wait, and when too many do they are lost, and counted.
type syslog struct {
	off   bool
	poll  *poller
	fd    int // connected to the daemon, or 0
	queue [][]byte
	lost  int
	again time.Time // when to look for a daemon, not before
	where *time.Location
}

func (s *syslog) log(e *logrus.Entry) {
	if s.off || s.fd == 0 && !s.connect(e.Time) {
		return
	}
	if len(s.queue) >= maxQueue {
		s.lost++
		return
	}
	line := append([]byte(prefix(syslogLevel(e.Level))), e.Time.In(s.zone()).Format(time.Stamp)+" "+tag+
		e.Message...)
	s.queue = append(s.queue, appendLost(line, s.lost))
	s.lost = 0
	if len(s.queue) == 1 {
		s.flush()
	}
}

// zone returns the time zone of /etc/localtime, or UTC. Package time would read the file itself, but
// wait for it if it is a fifo.
func (s *syslog) zone() *time.Location {
	if s.where == nil {
		s.where = time.UTC
		if b, err := readAt(unix.AT_FDCWD, "/etc/localtime"); err == nil {
			if l, err := time.LoadLocationFromTZData("localtime", b); err == nil {
				s.where = l
			}
		}
	}
	return s.where
}

func (s *syslog) connect(now time.Time) bool {
	if now.Before(s.again) {
		return false
	}
	s.again = now.Add(noDaemon)
	fd, err := above(unix.Socket(unix.AF_UNIX,
		unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0))
	if err != nil {
		return false
	}
	if unix.Connect(fd, &unix.SockaddrUnix{Name: devLog}) != nil {
		unix.Close(fd)
		return false
	}
	s.fd = fd
	return true
}

// flush sends what waits, as far as the daemon takes it.
func (s *syslog) flush() {
	for len(s.queue) > 0 {
		_, err := unix.Write(s.fd, s.queue[0])
		if err == unix.EAGAIN || err == unix.ENOBUFS {
			if s.poll.watch(kernel.FD(s.fd), kernel.Out) == nil {
				return
			}
		}
		if err == unix.ECONNREFUSED || err == unix.ENOTCONN {
			// The daemon has ended. A new one has a new socket, and gets what waits.
			s.poll.forget(kernel.FD(s.fd))
			unix.Close(s.fd)
			s.fd = 0
			if !s.connect(time.Now()) {
				s.lost += len(s.queue)
				s.queue = nil
			}
			continue
		}
		s.queue = s.queue[1:]
	}
	s.queue = nil
}

// ready takes the event that the daemon reads again. It reports whether it was that.
func (s *syslog) ready(ev kernel.Event) bool {
	r, ok := ev.(kernel.Ready)
	if !ok || s.fd == 0 || int(r.FD) != s.fd {
		return false
	}
	s.flush()
	return true
}
