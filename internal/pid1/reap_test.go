package pid1_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
	"github.com/rebound-init/rebound/internal/utmp"
)

const (
	utmpPath = "/var/run/utmp"
	wtmpPath = "/var/log/wtmp"
)

// login is the record of somebody who has logged in.
func login(pid kernel.PID, id string) utmp.Record {
	return utmp.Record{
		Type: utmp.UserProcess, PID: int32(pid), Line: "tty" + id, ID: id, User: "anna",
		Host: "far.away", Time: time.Unix(1_000_000, 0),
	}
}

// records decodes a file.
func records(t *testing.T, w *pid1test.World, path string) []utmp.Record {
	t.Helper()
	text, _ := w.File(path)
	var rs []utmp.Record
	size := utmp.Narrow.Size()
	for b := []byte(text); len(b) > 0; b = b[size:] {
		r, err := utmp.Narrow.Decode(b[:min(size, len(b))])
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		rs = append(rs, r)
	}
	return rs
}

func encode(rs ...utmp.Record) string {
	var b []byte
	for _, r := range rs {
		b = append(b, utmp.Narrow.Encode(r)...)
	}
	return string(b)
}

// TestLoginRecords: when a process ends, be it a service or an orphan, its login record is marked
// dead and copied to wtmp, if that is there [BusyBox 3.19]. The others stay as they are.
func TestLoginRecords(t *testing.T) {
	// The processes in the order of their birth; 2 is the kernel's thread.
	const parent, getty, other, orphan = 3, 4, 5, 6
	const inittab = `
		::once:actor fork, sleep 30s
		::respawn:actor sleep 20s
		::respawn:actor pause
	`
	epoch := time.Unix(2_000_000_000, 0).UTC()
	dead := func(r utmp.Record, after time.Duration) utmp.Record {
		r.Type, r.Time = utmp.DeadProcess, epoch.Add(after)
		return r
	}
	nobody := login(parent, "") // without an id, so it is not touched
	before := []utmp.Record{login(getty, "1"), login(orphan, "2"), login(other, "3"), nobody}
	const exec = pid1test.ExecTime
	gettyDead := dead(before[0], 20*time.Second+exec)
	orphanDead := dead(before[1], 30*time.Second+exec)
	after := []utmp.Record{gettyDead, orphanDead, before[2], nobody}

	for _, c := range []struct {
		name string
		wtmp bool
	}{{"with wtmp", true}, {"without wtmp", false}} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{utmpPath: encode(before...)}
			var history []utmp.Record
			if c.wtmp {
				files[wtmpPath] = encode(login(other, "9"))
				history = []utmp.Record{login(other, "9"), gettyDead, orphanDead}
			}
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{Epoch: epoch, Until: 35 * time.Second, Files: files},
				Inittab: inittab,
			})
			w.Boot()
			w.WantAlive()
			if d := cmp.Diff(after, records(t, w, utmpPath), sameTime()); d != "" {
				t.Errorf("utmp (-want +got):\n%s", d)
			}
			if d := cmp.Diff(history, records(t, w, wtmpPath), sameTime()); d != "" {
				t.Errorf("wtmp (-want +got):\n%s", d)
			}
			if _, ok := w.File(wtmpPath); ok != c.wtmp {
				t.Error("a wtmp was made where there was none")
			}
		})
	}
}

// sameTime compares times without regard to their zones.
func sameTime() cmp.Option {
	return cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
}

// TestLoginRecordsCannotBeWritten: it is said in the log, and the service starts again.
func TestLoginRecordsCannotBeWritten(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: 25 * time.Second, Files: map[string]string{utmpPath: encode(login(3, "1"))},
		},
		Inittab: "::respawn:actor sleep 20s\n",
	})
	w.Fail("WriteAt", 0, kernel.EIO)
	w.Boot()
	w.WantLog("login record of pid 3: input/output error", 1)
	w.WantStarts("actor sleep 20s", 0, 20*time.Second+pid1test.ExecTime)
}

// TestBrokenLoginRecords are left alone.
func TestBrokenLoginRecords(t *testing.T) {
	for _, text := range []string{"", "\n", encode(login(3, "1"))[:383], "garbage"} {
		w := pid1test.New(t, pid1test.Setup{
			Config: simkernel.Config{
				Until: 25 * time.Second, Files: map[string]string{utmpPath: text},
			},
			Inittab: "::respawn:actor sleep 20s\n",
		})
		w.Boot()
		w.WantAlive()
		if got, _ := w.File(utmpPath); got != text {
			t.Errorf("utmp: got %q, want %q", got, text)
		}
	}
}
