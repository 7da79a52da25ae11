package linux

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settled is how long nothing must have happened before PID 1 stocks up on threads.
	settled = 10 * time.Millisecond
	// quiet is how long nothing must have happened before it tidies up after itself. That
	// costs a few hundred microseconds, which nobody is to wait for.
	quiet = time.Second
	// patience is how long it waits for that. With a watchdog to feed each second there may never
	// be such a moment.
	patience = 10 * time.Second
	// busySpell is after how many events it does so again.
	busySpell = 64
	// spareThreads are kept for the runtime: a process that cannot start the thread it needs
	// dies, and a fork bomb in a container makes that happen. Eight survive it.
	spareThreads = 8
	// gcPercent keeps the heap small: a PID 1 allocates little and lives long. To set it stops
	// the world, which the boot need not wait for.
	gcPercent = 20
)

// tidy gives memory back and keeps threads in store, when PID 1 has nothing to do.
type tidy struct {
	timer  *time.Timer
	stage  tidyStage
	events int       // since the last time
	wanted time.Time // since when it is to be done
}

type tidyStage uint8

const (
	threadsToCome tidyStage = iota
	memoryToCome
	tidied
)

// arm starts the wait for a quiet moment. It is called before each wait for events.
func (t *tidy) arm() {
	pause := quiet
	if t.stage == threadsToCome {
		pause = settled
	}
	if t.timer == nil {
		t.timer = time.NewTimer(pause)
		return
	}
	t.events++
	if t.stage == tidied && t.events <= busySpell {
		return
	}
	switch now := time.Now(); {
	case t.wanted.IsZero():
		t.wanted = now
	case now.Sub(t.wanted) > patience:
		return // It is due as it stands.
	}
	t.timer.Reset(pause)
}

func (t *tidy) due() <-chan time.Time { return t.timer.C }

func (t *tidy) run(k *Kernel) {
	t.events, t.wanted = 0, time.Time{}
	if t.stage == threadsToCome {
		k.stockThreads()
		t.timer.Reset(quiet)
		return
	}
	first := t.stage == memoryToCome
	t.stage = tidied
	k.bootRoom = nil
	k.forgetChildren()
	debug.FreeOSMemory()
	if first {
		// With the garbage of the boot the heap may be over its new limit, and one more
		// collection takes memory for its books.
		debug.SetGCPercent(gcPercent)
	}
	k.shrinkMaps()
}

// stockThreads makes the runtime start its spare threads.
func (k *Kernel) stockThreads() {
	k.tidy.stage = memoryToCome
	startThreads(k.room(spareThreads))
}

// room returns for how many threads of n there is room. The runtime does not ask: where it cannot
// start a thread, it ends the process. So children that only wait try it first, for the limits
// (RLIMIT_NPROC, pids.max) are the same.
func (k *Kernel) room(n int) int {
	var pids []int
	for range n {
		c := k.free()
		c.call, c.nr, c.args = true, unix.SYS_PPOLL, [4]uintptr{}
		c.quiet = true
		pid, err := k.start(c)
		if err != nil {
			break
		}
		pids = append(pids, int(pid))
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
		// The kernel ends it at once.
		_, _ = again(func() (int, error) { return unix.Wait4(pid, nil, unix.WALL, nil) })
	}
	return len(pids)
}

// forgetChildren lets go of the memory of children that have reached their programs.
func (k *Kernel) forgetChildren() {
	k.children = slices.DeleteFunc(k.children, func(c *child) bool { return c.busy.Load() == 0 })
	k.spare, k.stacks = nil, nil
}

// shrinkMaps makes the kernel keep less of this process in memory.
//
// The pages of init's own program are unmapped, most of which are of the boot only; what is needed
// comes back by a fault that reads nothing. It is done only where the program lies in memory
// anyway, as in an initramfs. On a disk, pages that are mapped are those that stay when the disk
// is gone.
//
// The rest is kept from huge pages. Go's disablethp covers the heap only, and khugepaged has been
// seen to make two megabytes of a few kilobytes of the runtime's other memory.
func (k *Kernel) shrinkMaps() {
	program := k.programInMemory()
	maps, err := k.Proc("self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// FROM-TO PERMISSIONS OFFSET DEVICE INODE PATH (proc_pid_maps(5))
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		switch writable := strings.Contains(f[1], "w"); {
		case f[4] == program && !writable:
			advise(f[0], unix.MADV_DONTNEED)
		case f[4] == "0" && writable:
			advise(f[0], unix.MADV_NOHUGEPAGE)
		}
	}
}

// programInMemory returns the inode of init's program if its file system has no disk, or "".
func (k *Kernel) programInMemory() string {
	dir, err := k.procView()
	if err != nil {
		return ""
	}
	fd, err := unix.Openat(dir, "self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	var exe unix.Stat_t
	if unix.Fstatfs(fd, &fs) != nil || unix.Fstat(fd, &exe) != nil {
		return ""
	}
	// On 32-bit machines the field is too narrow for the constant's sign.
	switch uint32(fs.Type) {
	case unix.RAMFS_MAGIC, unix.TMPFS_MAGIC:
	default:
		return ""
	}
	return strconv.FormatUint(exe.Ino, 10)
}

// advise calls madvise(2) on a range as /proc/self/maps writes it. An error changes nothing.
func advise(addresses string, advice uintptr) {
	from, to, _ := strings.Cut(addresses, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return
	}
	end, err := strconv.ParseUint(to, 16, 64)
	if err != nil {
		return
	}
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), advice)
}

// startThreads makes the runtime start n threads and keep them: each goroutine insists on one,
// and none lets go before all have one.
func startThreads(n int) {
	var all, ended sync.WaitGroup
	all.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			runtime.LockOSThread()
			all.Done()
			all.Wait()
			runtime.UnlockOSThread()
			ended.Done()
		}()
	}
	ended.Wait()
}
