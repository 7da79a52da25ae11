package pidns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Plan says what room to make and how to start its init.
type Plan struct {
	Base *Base
	// Argv and Env are those of PID 1.
	Argv, Env []string
	// Files are put into the room before the start.
	Files []File
	// Console is what PID 1 finds on descriptors 0, 1 and 2.
	Console Console
	// Terminals are names below /dev, each a pseudo-terminal of its own.
	Terminals []string
	// Bare leaves out the device nodes, which are otherwise those of Nodes.
	Bare bool
	// Links are symbolic links, from path to target.
	Links map[string]string
	// Replace are paths at which the probe stands.
	Replace []string
	// Undrained leaves what is written to the pseudo-terminals unread until Drain is called.
	Undrained bool
	// NoProc leaves /proc an empty directory.
	NoProc bool
	// NoSyslog leaves out /dev/log; DeafSyslog binds it and never reads.
	NoSyslog, DeafSyslog bool
	// Stage are further verbs for stage, carried out just before PID 1's exec.
	Stage []string
	// Cgroup, if set, is a directory into whose cgroup.procs PID 1 is put before its exec.
	Cgroup string
	// BeforeStart is called with the room's terminals open and nothing running.
	BeforeStart func(*Room) error
}

// A File is a file, or with Mode's directory bit a directory, or with its socket bit a socket.
type File struct {
	Path string
	Mode os.FileMode
	Data []byte
}

// A Console is what stands on the first three descriptors of PID 1.
type Console string

const (
	// ConsolePTY is one open file of a pseudo-terminal, as the kernel gives /dev/console.
	ConsolePTY Console = "pty"
	// ConsolePipe is /dev/null to read and a pipe to write, as a container runtime gives.
	ConsolePipe Console = "pipe"
	// ConsoleNull is /dev/null.
	ConsoleNull Console = "null"
	// ConsoleNone is three closed descriptors.
	ConsoleNone Console = "none"
	// ConsoleBroken is /dev/null to read and a pipe without a reader.
	ConsoleBroken Console = "broken"
	// ConsoleFull is /dev/null to read and a pipe whose reader never reads.
	ConsoleFull Console = "full"
)

// Patience is how long anything may take on a slow and busy machine.
const Patience = time.Minute

// An Event is something seen from outside.
type Event struct {
	At time.Duration
	// From is "console", the name of a terminal, "log" or "report".
	From string
	// Text is what was written, or the log line.
	Text string
	// Report is set for From "report".
	Report *Report
}

// A Report is what a probe says about itself, or with Note set about something else.
type Report struct {
	Name, Note, Text     string
	Argv, Env            []string
	PID, PPID, SID, PGID int
	CWD                  string
	Umask, Nice, OOM     int
	Blocked, Ignored     string
	Caught, Pending      string
	SharedPending        string `json:"shared_pending"`
	UID, GID, Groups     string
	Capabilities         string
	NoNewPrivs           string `json:"no_new_privs"`
	Seccomp              string
	FDs                  []FD
	Limits               [][2]int64
	TTYMajor             uint32 `json:"tty_major"`
	TTYMinor             uint32 `json:"tty_minor"`
	DevTTY               int
	Foreground           int
	// HostPID is the sender's pid in the namespace of the test.
	HostPID int `json:"-"`
}

// An FD is an open descriptor of a process.
type FD struct {
	FD, Type, Major, Minor, Flags, CloExec int
}

// A Room is a running init.
type Room struct {
	// Dir is the room's root directory as this process sees it.
	Dir string
	// PID is PID 1's pid on the host.
	PID int
	// Console is nil unless the plan has ConsolePTY.
	Console   *Terminal
	Terminals map[string]*Terminal

	plan *Plan
	// root and pts are the room's own tmpfs and devpts.
	root, pts *os.File
	cmd       *exec.Cmd
	start     time.Time
	ears      sync.WaitGroup
	sockets   []*net.UnixConn
	heard     []*net.UnixConn // those of the sockets that are read
	// unread is the reading end of a console that nobody reads.
	unread *os.File

	mu       sync.Mutex
	changed  chan struct{}
	events   []Event
	draining bool
	ended    bool
	endedAt  time.Duration
	status   syscall.WaitStatus
}

// namespaces are those a room has for itself. The network is one of them, so that bringing
// loopback up is not done to the host.
const namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
	unix.CLONE_NEWNET

// Nodes are the character devices of a room, each with its major and minor number.
var Nodes = map[string][2]uint32{"dev/null": {1, 3}, "dev/zero": {1, 5}, "dev/tty": {5, 0}}

// Open makes a room and starts its init. dir is an empty directory of the host to work in.
//
// A room has nothing of the host's file systems in it, not even by a bind mount: an init that
// remounts read-only all that it sees must not do so to the host.
func (w *Workshop) Open(dir string, plan *Plan) (*Room, error) {
	r := &Room{
		plan: plan, Terminals: map[string]*Terminal{}, changed: make(chan struct{}),
		start: time.Now(),
	}
	verbs, err := r.furnish(dir)
	if err != nil {
		return nil, err
	}
	if plan.BeforeStart != nil {
		if err := plan.BeforeStart(r); err != nil {
			return nil, err
		}
	}
	if !plan.Undrained {
		r.Drain()
	}
	if err := r.launch(w, verbs); err != nil {
		return nil, err
	}
	return r, nil
}

// newMount makes a file system that is not mounted anywhere yet.
func newMount(fstype string, options map[string]string) (*os.File, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(fs)
	for k, v := range options {
		if err := unix.FsconfigSetString(fs, k, v); err != nil {
			return nil, fmt.Errorf("fsconfig %s %s=%s: %w", fstype, k, v, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// The descriptors that stage gets, besides the first three.
const (
	troubleFD = 3 + iota
	rootFD
	ptsFD
	consoleFD
)

// furnish makes the room's directories, files, sockets and terminals, and returns the verbs with
// which stage completes it.
func (r *Room) furnish(dir string) ([]string, error) {
	var err error
	if r.root, err = newMount("tmpfs", map[string]string{"mode": "755"}); err != nil {
		return nil, err
	}
	if r.pts, err = newMount("devpts", nil); err != nil {
		return nil, err
	}
	r.Dir = fmt.Sprintf("/proc/self/fd/%d", r.root.Fd())
	for _, d := range []string{
		"bin", "sbin", "dev/pts", "etc", "proc", "run", "sys", "tmp", "var/run",
	} {
		if err := os.MkdirAll(filepath.Join(r.Dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := r.equip(); err != nil {
		return nil, err
	}
	verbs := []string{
		"attach", strconv.Itoa(rootFD), dir, "root", dir,
		"attach", strconv.Itoa(ptsFD), "/dev/pts",
	}
	names := r.plan.Terminals
	if r.plan.Console == ConsolePTY {
		names = append(names[:len(names):len(names)], "")
	}
	for _, name := range names {
		t, err := openTerminal(int(r.pts.Fd()), name)
		if err != nil {
			return nil, err
		}
		if name == "" {
			t.Name, r.Console = "console", t
		} else {
			verbs = append(verbs, "bind", fmt.Sprintf("/dev/pts/%d", t.Minor), "/dev/"+name)
			if err := r.Put(File{Path: "dev/" + name, Mode: 0o600}); err != nil {
				return nil, err
			}
		}
		r.Terminals[t.Name] = t
	}
	if err := r.listen(); err != nil {
		return nil, err
	}
	if !r.plan.NoProc {
		verbs = append(verbs, "proc", "/proc")
	}
	return append(verbs, "forget"), nil
}

// equip puts programs, device nodes and the plan's own files into the room.
func (r *Room) equip() error {
	b := r.plan.Base
	programs := []File{
		{Path: "bin/busybox", Mode: 0o755, Data: b.busybox},
		{Path: "bin/probe", Mode: 0o755, Data: b.probe},
		{Path: "sbin/init", Mode: 0o755, Data: b.init},
	}
	for _, f := range programs {
		if err := r.Put(f); err != nil {
			return err
		}
	}
	for _, name := range applets {
		if err := r.link("bin/busybox", "bin/"+name); err != nil {
			return err
		}
	}
	for _, at := range r.plan.Replace {
		if err := r.Remove(at); err != nil {
			return err
		}
		if err := r.link("bin/probe", at); err != nil {
			return err
		}
	}
	if !r.plan.Bare {
		for path, number := range Nodes {
			dev := unix.Mkdev(number[0], number[1])
			path = filepath.Join(r.Dir, path)
			if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(dev)); err != nil {
				return fmt.Errorf("mknod %s: %w", path, err)
			}
		}
	}
	for _, f := range r.plan.Files {
		if err := r.Put(f); err != nil {
			return err
		}
	}
	for from, to := range r.plan.Links {
		path := filepath.Join(r.Dir, from)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(to, path); err != nil {
			return err
		}
	}
	return nil
}

// link gives a file of the room a second name.
func (r *Room) link(from, to string) error {
	return os.Link(filepath.Join(r.Dir, from), filepath.Join(r.Dir, to))
}

// Put writes a file into the room, replacing one that is there.
func (r *Room) Put(f File) error {
	path := filepath.Join(r.Dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch f.Mode.Type() {
	case os.ModeDir:
		return os.MkdirAll(path, f.Mode.Perm())
	case os.ModeSocket:
		return unix.Mknod(path, unix.S_IFSOCK|uint32(f.Mode.Perm()), 0)
	}
	// A file put in one move, so that init never reads half of it.
	part := path + ".part"
	if f.Mode.Perm()&0o111 != 0 {
		// A process forked while a program is open for writing keeps it from being run.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	if err := os.WriteFile(part, f.Data, f.Mode.Perm()); err != nil {
		return err
	}
	if err := os.Chmod(part, f.Mode.Perm()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// Remove removes a file of the room.
func (r *Room) Remove(path string) error { return os.RemoveAll(filepath.Join(r.Dir, path)) }

// Exists says whether the room has such a file.
func (r *Room) Exists(path string) bool {
	_, err := os.Lstat(filepath.Join(r.Dir, path))
	return err == nil
}

// listen opens the sockets of the reports and of syslog.
func (r *Room) listen() error {
	report, err := r.bind("run/report")
	if err != nil {
		return err
	}
	r.hear(report, func(b []byte, pid int) error {
		rep := &Report{HostPID: pid}
		if err := json.Unmarshal(b, rep); err != nil {
			return fmt.Errorf("%w in %q", err, b)
		}
		r.add(Event{From: "report", Report: rep})
		return nil
	})
	if r.plan.NoSyslog {
		return nil
	}
	log, err := r.bind("dev/log")
	if err != nil {
		return err
	}
	if !r.plan.DeafSyslog {
		r.hear(log, func(b []byte, _ int) error {
			r.add(Event{From: "log", Text: string(b)})
			return nil
		})
	}
	return nil
}

func (r *Room) bind(path string) (*net.UnixConn, error) {
	path = filepath.Join(r.Dir, path)
	s, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, err
	}
	r.sockets = append(r.sockets, s)
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, err
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}); err != nil {
		return nil, err
	}
	return s, set
}

// hear hands on each datagram with the sender's pid, until the socket is closed or, once PID 1 has
// ended, there is none left.
func (r *Room) hear(s *net.UnixConn, got func([]byte, int) error) {
	r.heard = append(r.heard, s)
	r.ears.Add(1)
	go func() {
		defer r.ears.Done()
		buf := make([]byte, 1<<16)
		control := make([]byte, 256)
		for {
			n, c, _, _, err := s.ReadMsgUnix(buf, control)
			if err != nil {
				return
			}
			if string(buf[:n]) == farewell {
				return
			}
			if err := got(buf[:n], sender(control[:c])); err != nil {
				r.add(Event{From: "trouble", Text: err.Error()})
			}
		}
	}()
}

func sender(control []byte) int {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for i := range msgs {
		if c, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			return int(c.Pid)
		}
	}
	return 0
}

// launch starts stage with the plan's console and waits until it has become PID 1.
func (r *Room) launch(w *Workshop, verbs []string) error {
	complaint, trouble, err := os.Pipe()
	if err != nil {
		return err
	}
	defer complaint.Close()
	cmd := exec.Command(w.stage)
	cmd.Env = r.plan.Env
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		// Nothing of a room outlives the test process, however that ends.
		Pdeathsig: syscall.SIGKILL,
	}
	cmd.ExtraFiles = []*os.File{trouble, r.root, r.pts}
	first, err := r.console(cmd)
	if err != nil {
		return err
	}
	if r.plan.Cgroup != "" {
		first = append(first, "write", filepath.Join(r.plan.Cgroup, "cgroup.procs"), "0")
	}
	args := append([]string{w.stage}, first...)
	args = append(append(args, verbs...), r.plan.Stage...)
	if r.plan.Console == ConsoleNone {
		args = append(args, "close", "0", "close", "1", "close", "2")
	}
	args = append(args, "exec", "/sbin/init")
	cmd.Args = append(args, r.plan.Argv...)
	r.cmd = cmd
	err = cmd.Start()
	trouble.Close()
	if writer, ok := cmd.Stdout.(*os.File); ok {
		writer.Close()
	}
	for _, f := range cmd.ExtraFiles[consoleFD-troubleFD:] {
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("start PID 1: %w", err)
	}
	r.PID = cmd.Process.Pid
	go r.wait()
	if said, _ := io.ReadAll(complaint); len(said) > 0 {
		r.Close()
		return fmt.Errorf("start PID 1: %s", said)
	}
	return nil
}

// console gives PID 1 its first three descriptors, partly by verbs for stage.
func (r *Room) console(cmd *exec.Cmd) ([]string, error) {
	same := []string{"dup", "0", "1", "dup", "0", "2"}
	switch r.plan.Console {
	case ConsolePTY:
		fd, err := r.Console.open()
		if err != nil {
			return nil, err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "console"))
		return append([]string{"dup", strconv.Itoa(consoleFD), "0"}, same...), nil
	case ConsoleNull:
		return append([]string{"open", "0", os.DevNull}, same...), nil
	case ConsoleNone:
		return nil, nil
	case ConsolePipe, ConsoleBroken, ConsoleFull:
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		cmd.Stdout, cmd.Stderr = writer, writer
		switch r.plan.Console {
		case ConsolePipe:
			r.followPipe(reader)
		case ConsoleBroken:
			reader.Close()
		case ConsoleFull:
			r.unread = reader
		}
		return []string{"open", "0", os.DevNull}, nil
	}
	return nil, fmt.Errorf("no such console: %q", r.plan.Console)
}

// followPipe hands on what is written to the pipe until nobody has it open.
func (r *Room) followPipe(reader *os.File) {
	r.ears.Add(1)
	go func() {
		defer r.ears.Done()
		defer reader.Close()
		buf := make([]byte, 4096)
		for {
			n, err := reader.Read(buf)
			if n > 0 {
				r.add(Event{From: "console", Text: string(buf[:n])})
			}
			if err != nil {
				return
			}
		}
	}()
}

// farewell is the datagram that ends a socket's listener. Datagrams keep their order, so that all
// that the room sent comes before it.
const farewell = "\x00farewell"

// wait reaps PID 1 and, when all that the room wrote has been read, marks it as ended. The kernel
// lets PID 1's parent see its end only when no other process of the namespace is left
// (kernel/pid_namespace.c, zap_pid_ns_processes).
func (r *Room) wait() {
	err := r.cmd.Wait()
	at := time.Since(r.start)
	for _, s := range r.heard {
		to := s.LocalAddr().(*net.UnixAddr)
		if c, err := net.DialUnix("unixgram", nil, to); err == nil {
			_, _ = c.Write([]byte(farewell))
			c.Close()
		}
	}
	r.Drain()
	for _, t := range r.Terminals {
		t.release()
	}
	r.ears.Wait()
	for _, s := range r.sockets {
		s.Close()
	}
	if r.unread != nil {
		r.unread.Close()
	}
	r.pts.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		r.status = r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	r.ended, r.endedAt = true, at
	r.notify()
}

// Drain starts the reading of pseudo-terminals that the plan leaves unread.
func (r *Room) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return
	}
	r.draining = true
	for name, t := range r.Terminals {
		t.follow(func(b []byte) { r.add(Event{From: name, Text: string(b)}) })
	}
}

// End ends the room, whatever state it is in. Its files can still be looked at.
func (r *Room) End() {
	_ = r.cmd.Process.Kill()
	r.Await(Patience, func(v View) bool { return v.Ended })
}

// Close ends the room and gives its file system back.
func (r *Room) Close() {
	r.End()
	r.root.Close()
}

func (r *Room) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Since(r.start)
	r.events = append(r.events, e)
	r.notify()
}

// notify wakes all who await something. The caller holds r.mu.
func (r *Room) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// A View is what has been seen of a room so far.
type View struct {
	Events []Event
	// Ended is true when PID 1 is gone; Status is then what its parent saw, EndedAt when.
	Ended   bool
	Status  syscall.WaitStatus
	EndedAt time.Duration
}

// Text is all that came from one place.
func (v View) Text(from string) string {
	var b strings.Builder
	for _, e := range v.Events {
		if e.From == from {
			b.WriteString(e.Text)
		}
	}
	return b.String()
}

// Reports are the probes' first reports (note false) or their notes (note true).
func (v View) Reports(notes bool) []*Report {
	var reports []*Report
	for _, e := range v.Events {
		if e.Report != nil && (e.Report.Note != "") == notes {
			reports = append(reports, e.Report)
		}
	}
	return reports
}

// Count is the number of probes that have reported under a name.
func (v View) Count(name string) int {
	n := 0
	for _, rep := range v.Reports(false) {
		if rep.Name == name {
			n++
		}
	}
	return n
}

// View is what has been seen so far.
func (r *Room) View() View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return View{
		Events: r.events[:len(r.events):len(r.events)],
		Ended:  r.ended, Status: r.status, EndedAt: r.endedAt,
	}
}

// Await waits until the condition holds, and is false if it does not within the time.
func (r *Room) Await(within time.Duration, holds func(View) bool) bool {
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if holds(r.View()) {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return holds(r.View())
		}
	}
}

// Signal sends PID 1 a signal, or several in the same instant: then PID 1 is stopped, gets them
// all, and is continued.
func (r *Room) Signal(sigs ...syscall.Signal) error {
	if len(sigs) == 1 {
		return r.cmd.Process.Signal(sigs[0])
	}
	if err := r.Stop(); err != nil {
		return err
	}
	for _, s := range sigs {
		if err := r.cmd.Process.Signal(s); err != nil {
			return err
		}
	}
	return r.cmd.Process.Signal(syscall.SIGCONT)
}

// Stop stops PID 1 with SIGSTOP, which works from outside its namespace only, and returns when
// all its threads have stopped.
func (r *Room) Stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.Now().Add(Patience)
	for !r.allStopped() {
		if time.Now().After(deadline) {
			return errors.New("PID 1 does not stop")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (r *Room) allStopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", r.PID))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, path := range threads {
		if s := stateOf(path); s != "T" && s != "X" && s != "Z" {
			return false
		}
	}
	return true
}

// stateOf is the state letter of a /proc/PID/stat, or nothing if there is no such process.
func stateOf(path string) string {
	line, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(line[strings.LastIndexByte(string(line), ')'):]), " ")
	state, _, _ := strings.Cut(after, " ")
	return state
}

// Settled says whether PID 1 leads a session, which an init makes after it has taken its signals.
func (r *Room) Settled() bool {
	sid, err := unix.Getsid(r.PID)
	return err == nil && sid == r.PID
}

// Program identifies the program that PID 1 executes: it changes with every execve(2), even of the
// same file, as long as the kernel chooses the place of the stack at random.
func (r *Room) Program() string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(line[strings.LastIndexByte(string(line), ')')+1:]))
	// Field 28 of the line, startstack (proc(5)); the first of ours is field 3.
	const startstack = 28 - 3
	if len(fields) <= startstack {
		return ""
	}
	return fields[startstack]
}

// Children are the host pids of PID 1's children, with their states.
func (r *Room) Children() map[int]string {
	children := map[int]string{}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.PID))
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				if s := stateOf(fmt.Sprintf("/proc/%d/stat", pid)); s != "" {
					children[pid] = s
				}
			}
		}
	}
	return children
}
