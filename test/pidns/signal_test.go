package pidns

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waysDown are the signals that end the machine when it is up. QUIT does so where there is a
// restart entry.
var waysDown = map[syscall.Signal]bool{
	syscall.SIGTERM: true, syscall.SIGUSR1: true, syscall.SIGUSR2: true, syscall.SIGPWR: true,
}

// Every signal but those, twice, by root inside, in an order that the seed decides, in every phase
// of the boot: PID 1 lives on, and does its work afterwards.
func TestEverySignalTwiceFromInside(t *testing.T) {
	t.Parallel()
	for range 8 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			lines := make([]string, 0, 6)
			for _, action := range []string{"sysinit", "wait", "once", "once"} {
				lines = append(lines, "::"+action+":/bin/probe "+barrage(random))
			}
			lines = append(lines,
				"::respawn:/bin/probe last stay",
				"::ctrlaltdel:/bin/probe cad")
			r := start(t, Plan{Files: []File{inittab(lines...)}})
			untilOver(t, r, 4)
			alive(t, r, "last")
			goesDown(t, r, syscall.SIGTERM)
		})
	}
}

// PID 1 has a handler for every signal that would end it. That the kernel protects it is not enough:
// a signal without a handler that comes while the first thread blocks it has ended an init of Linux
// 6.1, and it takes luck to see that.
func TestHandlesWhatWouldEndIt(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{Files: []File{inittab("::respawn:/bin/probe last stay")}})
	awaitStart(t, r, "last", 1)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "SigCgt:\t")
	line, _, _ := strings.Cut(rest, "\n")
	caught, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP: // can have none
			continue
		case syscall.SIGTTIN, syscall.SIGTTOU: // would only stop it
			continue
		}
		if caught>>(sig-1)&1 == 0 {
			t.Errorf("PID 1 has no handler for signal %d", int(sig))
		}
	}
	goesDown(t, r, syscall.SIGTERM)
}

// untilOver waits until so many barrages are over and the service is up. It sends CONT all the
// while, because a barrage may leave PID 1 with a TSTP, which keeps it from starting anything.
func untilOver(t *testing.T, r *Room, barrages int) {
	t.Helper()
	over := func(v View) bool {
		return v.Ended || v.Count("last") > 0 && len(v.Reports(true)) >= barrages
	}
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
		if r.Await(time.Second/10, over) {
			break
		}
		if err := r.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	await(t, r, "the barrages to be over", over)
	if err := r.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// barrage is the words of a probe that sends PID 1 every signal twice.
func barrage(random *rand.Rand) string {
	var order []int
	for sig := 1; sig <= 64; sig++ {
		if !waysDown[syscall.Signal(sig)] {
			order = append(order, sig, sig)
		}
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var b strings.Builder
	fmt.Fprintf(&b, "rude%d", random.IntN(1<<20))
	for _, sig := range order {
		fmt.Fprintf(&b, " signal 1 %d", sig)
		if random.IntN(8) == 0 {
			fmt.Fprintf(&b, " sleep 0.%03d", random.IntN(20))
		}
	}
	b.WriteString(" note over")
	return b.String()
}

// The signals that do end the machine, twice and among all others: it goes down in an orderly way.
func TestEverySignalOnTheWayDown(t *testing.T) {
	t.Parallel()
	for sig := range waysDown {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			r := start(t, Plan{Files: []File{inittab(
				"::respawn:/bin/probe last stay",
				"::shutdown:/bin/probe "+barrage(random),
				fmt.Sprintf("::shutdown:/bin/probe again signal 1 %d signal 1 %d", sig, sig),
				"::shutdown:/bin/probe down",
			)}})
			awaitStart(t, r, "last", 1)
			if v := goesDown(t, r, sig); v.Count("down") != 1 {
				t.Errorf("the last shutdown entry has run %d times, want once", v.Count("down"))
			}
		})
	}
}

// A signal from outside at a moment of the first milliseconds after the exec. Go has handlers of
// its own before any of our code runs, and dies with status 2 of some signals that come before it
// is told to leave them to us: see first-millisecond in docs/compatibility.md. But it must not end
// in any other way than that or as the signal asks, and must not hang.
func TestSignalsRightAfterExec(t *testing.T) {
	t.Parallel()
	sigs := []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGSEGV,
		syscall.SIGABRT, syscall.SIGSYS, syscall.SIGUSR1, syscall.SIGPWR, syscall.SIGTRAP,
	}
	const goDies = 2
	for i := range 40 {
		sig := sigs[i%len(sigs)]
		delay := time.Duration(i) * 75 * time.Microsecond
		t.Run(fmt.Sprintf("%s after %v", unix.SignalName(sig), delay), func(t *testing.T) {
			t.Parallel()
			r := start(t, Plan{Files: []File{inittab("::respawn:/bin/probe last stay")}})
			time.Sleep(delay)
			if err := r.Signal(sig); err != nil {
				t.Fatal(err)
			}
			v := await(t, r, "the service or the end", func(v View) bool {
				return v.Count("last") > 0 || v.Ended
			})
			switch ws := v.Status; {
			case !v.Ended, waysDown[sig] && ws.Signaled():
			case ws.Exited() && ws.ExitStatus() == goDies:
				t.Log("Go died of it")
			default:
				t.Errorf("PID 1 has ended with status %#x", uint32(ws))
			}
		})
	}
}
