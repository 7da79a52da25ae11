package utmp

//lint:file-ignore U1000 The C structures are there for their layout.

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// narrowC is glibc's struct utmp where __WORDSIZE_TIME64_COMPAT32 is 1, and on 32-bit machines.
type narrowC struct {
	typ               int16
	pid               int32
	line              [32]byte
	id                [4]byte
	user              [32]byte
	host              [256]byte
	termination, exit int16
	session           int32
	sec, usec         int32
	addr              [4]int32
	reserved          [20]byte
}

// wideC is glibc's struct utmp where that macro is 0 on a 64-bit machine. Go aligns an int64 as
// C does on arm64; the padding at the end is the one sizeof counts.
type wideC struct {
	typ               int16
	pid               int32
	line              [32]byte
	id                [4]byte
	user              [32]byte
	host              [256]byte
	termination, exit int16
	session           int64
	sec, usec         int64
	addr              [4]int32
	reserved          [20]byte
}

func TestLayoutIsThatOfTheCStructures(t *testing.T) {
	if runtime.GOARCH == "arm" || runtime.GOARCH == "386" {
		t.Skip("needs a 64-bit machine: Go aligns an int64 to 4 bytes here, C on arm64 to 8")
	}
	var n narrowC
	var w wideC
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"narrow size", Narrow.Size(), int(unsafe.Sizeof(n))},
		{"narrow pid", offPID, int(unsafe.Offsetof(n.pid))},
		{"narrow line", offLine, int(unsafe.Offsetof(n.line))},
		{"narrow id", offID, int(unsafe.Offsetof(n.id))},
		{"narrow user", offUser, int(unsafe.Offsetof(n.user))},
		{"narrow host", offHost, int(unsafe.Offsetof(n.host))},
		{"narrow termination", offTermination, int(unsafe.Offsetof(n.termination))},
		{"narrow exit", offExit, int(unsafe.Offsetof(n.exit))},
		{"narrow session", offSession, int(unsafe.Offsetof(n.session))},
		{"narrow sec", Narrow.offSec(), int(unsafe.Offsetof(n.sec))},
		{"narrow addr", Narrow.offAddr(), int(unsafe.Offsetof(n.addr))},
		{"wide size", Wide.Size(), int(unsafe.Sizeof(w))},
		{"wide pid", offPID, int(unsafe.Offsetof(w.pid))},
		{"wide host", offHost, int(unsafe.Offsetof(w.host))},
		{"wide termination", offTermination, int(unsafe.Offsetof(w.termination))},
		{"wide session", offSession, int(unsafe.Offsetof(w.session))},
		{"wide sec", Wide.offSec(), int(unsafe.Offsetof(w.sec))},
		{"wide addr", Wide.offAddr(), int(unsafe.Offsetof(w.addr))},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestLayoutOfEveryArchitectureWeBuild(t *testing.T) {
	for arch, size := range map[string]int{"amd64": 384, "arm64": 400, "arm": 384, "riscv64": 384} {
		l, ok := LayoutOf(arch)
		if !ok || l.Size() != size {
			t.Errorf("LayoutOf(%q): got %d bytes, %v; want %d", arch, l.Size(), ok, size)
		}
	}
	if l, ok := LayoutOf("s390x"); ok {
		t.Errorf("LayoutOf(s390x): got %v; it is big-endian, which Decode does not know", l)
	}
}

// TestRecordOfAnotherProgram decodes what util-linux's login writes, byte for byte as C lays it
// out, so that an error common to Encode and Decode cannot hide.
func TestRecordOfAnotherProgram(t *testing.T) {
	n := narrowC{typ: 7, pid: 612, termination: 1, exit: 2, session: -3, sec: -1, usec: 250000}
	copy(n.line[:], "tty1")
	copy(n.id[:], "tty1") // full: no NUL behind it
	copy(n.user[:], "root")
	copy(n.host[:], "10.0.2.2")
	n.addr[0] = 0x0202000a
	b := (*[unsafe.Sizeof(n)]byte)(unsafe.Pointer(&n))[:]

	got, err := Narrow.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Record{
		Type: UserProcess, PID: 612, Line: "tty1", ID: "tty1", User: "root", Host: "10.0.2.2",
		Termination: 1, Exit: 2, Session: -3,
		Time: time.Unix(1<<32-1, 250000*1000), // 2106-02-07, the last second there is
		Addr: [16]byte{10, 0, 2, 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record differs (-want +got):\n%s", d)
	}
	if again := Narrow.Encode(got); !bytes.Equal(again, b) {
		t.Errorf("encoded again:\n got %x\nwant %x", again, b)
	}
}

func TestDecodeRefusesTheOtherLayout(t *testing.T) {
	_, err := Wide.Decode(make([]byte, 384))
	if err == nil || !strings.Contains(err.Error(), "384 bytes, expected 400") {
		t.Errorf("got %v, want both lengths named", err)
	}
}

func TestLongTextIsCut(t *testing.T) {
	r, err := Narrow.Decode(Narrow.Encode(Record{ID: "tty10", Host: strings.Repeat("h", 300)}))
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != "tty1" || len(r.Host) != 256 || r.User != "" || r.Termination != 0 {
		t.Errorf("got id %q, host of %d, user %q, termination %d; want no field to run into the next",
			r.ID, len(r.Host), r.User, r.Termination)
	}
}

func TestMarkDead(t *testing.T) {
	now := time.Unix(1800000000, 123456000)
	login := func(typ Type, pid int32, id string) Record {
		return Record{
			Type: typ, PID: pid, ID: id, Line: "pts/" + id, User: "ann", Host: "far.example",
			Session: 41, Time: time.Unix(1700000000, 0), Addr: [16]byte{1, 2, 3},
		}
	}
	for _, c := range []struct {
		name    string
		records []Record
		pid     int32
		dead    []int // which records
	}{
		{"login", []Record{login(LoginProcess, 7, "1"), login(UserProcess, 8, "2")}, 7, []int{0}},
		{"user", []Record{login(LoginProcess, 7, "1"), login(UserProcess, 8, "2")}, 8, []int{1}},
		{"init", []Record{login(InitProcess, 9, "3")}, 9, []int{0}},
		{"nobody's", []Record{login(UserProcess, 8, "2")}, 77, nil},
		{"no id", []Record{login(UserProcess, 8, "")}, 8, nil},
		{"dead already", []Record{login(DeadProcess, 8, "2")}, 8, nil},
		{
			"pid used again",
			[]Record{login(DeadProcess, 8, "1"), login(UserProcess, 8, "2")},
			8,
			[]int{1},
		},
		{
			"two terminals",
			[]Record{login(UserProcess, 8, "1"), login(UserProcess, 8, "2")},
			8,
			[]int{0, 1},
		},
		{"not a process", []Record{login(BootTime, 0, "~~"), login(RunLevel, 0, "~~")}, 0, nil},
		{"run level with a pid", []Record{login(RunLevel, 20019, "~~")}, 20019, nil},
		{"no such pid", []Record{login(UserProcess, -1, "1")}, -1, nil},
		{"empty file", nil, 8, nil},
	} {
		for _, l := range []Layout{Narrow, Wide} {
			t.Run(c.name+"/"+l.String(), func(t *testing.T) {
				var file []byte
				for _, r := range c.records {
					file = append(file, l.Encode(r)...)
				}
				// Bytes that this package knows nothing about have to come through.
				for i := l.Size() - 1; i < len(file); i += l.Size() {
					file[i] = 0xa5
				}
				file = append(file, "cut short"...)
				before := bytes.Clone(file)

				updates := l.MarkDead(file, c.pid, now)
				if !bytes.Equal(file, before) {
					t.Error("the content that was passed in has been changed")
				}
				if len(updates) != len(c.dead) {
					t.Fatalf("got %d updates, want %d", len(updates), len(c.dead))
				}
				for i, u := range updates {
					if want := int64(c.dead[i] * l.Size()); u.Offset != want {
						t.Errorf("update %d: offset %d, want %d", i, u.Offset, want)
					}
					got, err := l.Decode(u.Record)
					if err != nil {
						t.Fatal(err)
					}
					want := c.records[c.dead[i]]
					want.Type, want.Time = DeadProcess, now
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("update %d differs (-want +got):\n%s", i, d)
					}
					if last := u.Record[l.Size()-1]; last != 0xa5 {
						t.Errorf("update %d: reserved byte %#x, want it kept", i, last)
					}
				}
			})
		}
	}
}

func TestNothingToMarkCostsNoMemory(t *testing.T) {
	file := bytes.Repeat(Narrow.Encode(Record{Type: UserProcess, PID: 8, ID: "1"}), 50)
	n := testing.AllocsPerRun(100, func() { Narrow.MarkDead(file, 9, time.Time{}) })
	if n != 0 {
		t.Errorf("got %v allocations, want none: this runs at every reaped child", n)
	}
}

func TestShutdown(t *testing.T) {
	got := Shutdown("6.1.0-40-amd64", time.Unix(1800000000, 999999999))
	want := Record{
		Type: RunLevel, Line: "~~", ID: "~~", User: "shutdown", Host: "6.1.0-40-amd64",
		Time: time.Unix(1800000000, 0),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record differs (-want +got):\n%s", d)
	}
}

func TestEveryRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		txt := func(what string, n int) string {
			return rapid.StringMatching(`[ -~]*`).Filter(func(s string) bool {
				return len(s) <= n
			}).Draw(t, what)
		}
		want := Record{
			Type:        Type(rapid.Int16().Draw(t, "type")),
			PID:         rapid.Int32().Draw(t, "pid"),
			Line:        txt("line", LineLen),
			ID:          txt("id", IDLen),
			User:        txt("user", UserLen),
			Host:        txt("host", HostLen),
			Termination: rapid.Int16().Draw(t, "termination"),
			Exit:        rapid.Int16().Draw(t, "exit"),
			Session:     int64(rapid.Int32().Draw(t, "session")),
			Time: time.Unix(int64(rapid.Uint32().Draw(t, "sec")),
				int64(rapid.IntRange(0, 999999).Draw(t, "usec"))*1000),
		}
		copy(want.Addr[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr"))
		l := rapid.SampledFrom([]Layout{Narrow, Wide}).Draw(t, "layout")
		got, err := l.Decode(l.Encode(want))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("record differs (-want +got):\n%s", d)
		}
	})
}

// FuzzMarkDead: whatever is in the file, every update is a whole record inside it, of that pid,
// and marking again finds nothing left.
func FuzzMarkDead(f *testing.F) {
	f.Add([]byte("short"), int32(1), false)
	f.Add(Narrow.Encode(Record{Type: UserProcess, PID: 5, ID: "x"}), int32(5), false)
	f.Add(Wide.Encode(Record{Type: LoginProcess, PID: 5, ID: "x"}), int32(5), true)
	f.Fuzz(func(t *testing.T, file []byte, pid int32, wide bool) {
		l := Narrow
		if wide {
			l = Wide
		}
		now := time.Unix(1800000000, 0)
		after := bytes.Clone(file)
		for _, u := range l.MarkDead(file, pid, now) {
			if len(u.Record) != l.Size() || u.Offset%int64(l.Size()) != 0 {
				t.Fatalf("%d bytes at %d are not a record", len(u.Record), u.Offset)
			}
			r, err := l.Decode(u.Record)
			if err != nil || r.PID != pid || r.Type != DeadProcess || !r.Time.Equal(now) {
				t.Fatalf("got %+v, %v", r, err)
			}
			copy(after[u.Offset:], u.Record)
		}
		if again := l.MarkDead(after, pid, now); len(again) != 0 {
			t.Fatalf("%d records left to mark", len(again))
		}
	})
}
