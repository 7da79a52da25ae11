package inittab

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The real init, as PID 1 of a namespace, reads random files and must find the same entries
// and the same mistakes in them. It writes both to the system log: "starting pid 7, tty
// 'DEVICE': 'COMMAND'" before each start, and the messages about bad lines.
func TestBusyBoxReadsTheSameTable(t *testing.T) {
	const files = 300
	w := newWorld(t)
	for seed := range uint64(files) {
		text := randomFile(rand.New(rand.NewPCG(seed, 0)))
		got := w.play(t, text)
		want := w.expect(text)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: %q\n got  %q\n want %q", seed, text, got, want)
		}
	}
}

// lastEntry ends every file, so that the test knows when all other entries have been started.
const lastEntry = "\n\n\n\n::respawn:END"

// randomFile strings together pieces of lines. An askfirst entry is not among them: it is
// logged only after Enter, out of order.
func randomFile(r *rand.Rand) string {
	pieces := []string{
		"::sysinit:true", "::sysinit:a b", "::wait:a", "::once:a", "::respawn:a", ":once:",
		"a::sysinit:a", "/dev/a::once:a", "//a::once:a", "null::", "a:1:wait:b", "c d::once:b",
		"pts/0::once:", "/dev//pts/0::once:b", "::wait:c\\", "#\\", "\\", "\\\n",
		"#", "# c", " ", "\t", "\r", "\x00", ":", "::", "'", "x", "sysinit", "-", "- ",
		"\n", "\n", "\n", "\n",
	}
	var text strings.Builder
	for range r.IntN(25) {
		text.WriteString(pieces[r.IntN(len(pieces))])
		if r.IntN(3) > 0 {
			text.WriteByte('\n')
		}
	}
	text.WriteString(lastEntry)
	return text.String()
}

// A world is a root directory with little more than BusyBox in it, and a system log.
type world struct {
	root string
	log  *net.UnixConn
}

func newWorld(t *testing.T) world {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a PID namespace and device nodes")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs a static busybox with init in PATH")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	// A short path: the address of a socket has room for 107 bytes.
	root, err := os.MkdirTemp("", "inittab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	w := world{root: root}
	for _, dir := range []string{"bin", "etc", "dev/pts"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "true", "init"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	for _, device := range []string{"null", "a", "c d", "pts/0"} {
		const null = 1<<8 | 3
		err := syscall.Mknod(filepath.Join(root, "dev", device), syscall.S_IFCHR|0o666, null)
		if errors.Is(err, syscall.EPERM) {
			t.Skip("needs permission to make device nodes")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	address := net.UnixAddr{Name: filepath.Join(root, "dev/log"), Net: "unixgram"}
	if w.log, err = net.ListenUnixgram("unixgram", &address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.log.Close() })
	return w
}

// play boots BusyBox on a file and returns what it logged, until it has started lastEntry.
func (w world) play(t *testing.T, text string) (logged []string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.root, "etc/inittab"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	init := exec.Cmd{
		Path: "/bin/init", Args: []string{"init"}, Env: []string{},
		SysProcAttr: &syscall.SysProcAttr{
			Chroot: w.root, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
		},
	}
	err := init.Start()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs permission to make a PID namespace")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		init.Process.Kill()
		init.Wait() // It was killed.
	}()
	w.log.SetReadDeadline(time.Now().Add(20 * time.Second))
	message := make([]byte, 4096)
	for {
		n, err := w.log.Read(message)
		if err != nil {
			t.Fatalf("%q: %v; the log so far is %q", text, err, logged)
		}
		line := string(message[:n])
		if i := strings.Index(line, "Bad inittab"); i >= 0 {
			logged = append(logged, line[i:])
		}
		if i := strings.Index(line, "tty '"); i >= 0 {
			logged = append(logged, line[i:])
			if line[i:] == "tty '': 'END'" {
				return logged
			}
		}
	}
}

// expect returns what BusyBox must log about a file, by our reading of it.
func (w world) expect(text string) (log []string) {
	table, found := Parse("inittab", []byte(text))
	log = mistakes(found)
	for _, e := range table {
		// Debian's BusyBox passes over entries whose device is not there.
		if _, err := os.Stat(filepath.Join(w.root, e.TTY)); err == nil || e.TTY == "" {
			log = append(log, "tty '"+e.TTY+"': '"+e.Command+"'")
		}
	}
	return log
}
