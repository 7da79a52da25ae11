// Package pstore is what a kernel keeps of its log where a reset does not reach it: the front end
// that takes the newest part of the log and compresses it (fs/pstore/platform.c), ramoops, which
// writes it into memory that the kernel leaves alone, in the kernel's own bytes (fs/pstore/ram.c,
// ram_core.c), and the variables of EFI's firmware (drivers/firmware/efi/efi-pstore.c).
//
// The package stands alone. Whoever has a kernel gives it the memory, the log and the time, and
// prints the lines that it returns.
package pstore

import "fmt"

// Reason is why a log is kept (include/linux/kmsg_dump.h).
type Reason int

// The reasons. Since 5.8 Shutdown is all ways down, and the last two are gone.
const (
	Undefined Reason = iota
	Panic
	Oops
	Emergency
	Shutdown
	Halt
	PowerOff
)

// A Line is what the kernel prints.
type Line struct {
	// Level is the printk level, 3 (KERN_ERR) to 6 (KERN_INFO).
	Level int
	Text  string
}

const (
	kernErr  = 3
	kernWarn = 4
	kernInfo = 6
)

// Rules are what differs between versions.
type Rules struct {
	// Major, Minor and Patch are the version. The zone of ftrace is marked with it.
	Major, Minor, Patch int

	words []string
	// deflate is whether dumps can be compressed.
	deflate bool
	// oldPercent is whether the buffer before compression depends on the record's size.
	oldPercent bool
	// crypto is whether compression is the crypto API's, which says when it fails.
	crypto bool
	// names are the values of pstore.compress that turn it on; any other turns it off. A nil list
	// is the rule of 6.6: only none turns it off.
	names []string
	// using is the word for compression in the line that names it.
	using string
	// reasonsByDumper is whether a dumper's max_reason stands alone (5.8). Before, a reason above
	// Oops needs printk.always_kmsg_dump, and ramoops refuses it all the same.
	reasonsByDumper bool
	// tellsErrors is whether a refused write is told (6.12).
	tellsErrors bool
	// bare is ramoops of 3.10: a header without a letter that stays in the file, memory rounded to
	// a power of two, the buffer as long as the record, records appended to what is there.
	bare bool
	// attached is the last line's form before 5.0.
	attached bool
	// pmsgFirst is whether the zone of pmsg lies before that of ftrace (6.6).
	pmsgFirst bool
	// efi is the name of the backend in EFI's variables.
	efi string
	// inUse is whether a second backend is told of with the newer text (6.6).
	inUse bool
}

// For are the rules of a version. There are none before 3.5, when ramoops became a backend.
func For(major, minor, patch int) (Rules, bool) {
	v := major*1000 + minor
	if v < 3005 {
		return Rules{}, false
	}
	r := Rules{
		Major: major, Minor: minor, Patch: patch, efi: "efi",
		words: []string{"Unknown", "Panic", "Oops", "Emergency", "Restart", "Halt", "Poweroff"},
		bare:  v < 3012, attached: v < 5000, deflate: v >= 3012, oldPercent: v < 6006,
		crypto: v >= 4018 && v < 6006, using: "crash dump compression",
		reasonsByDumper: v >= 5008, tellsErrors: v >= 6012, pmsgFirst: v >= 6006, inUse: v >= 6006,
	}
	if v < 6006 {
		r.names = []string{"deflate"}
	}
	if v < 5000 {
		r.using = "compression"
	}
	if v >= 5008 {
		r.words = []string{"Unknown", "Panic", "Oops", "Emergency", "Shutdown"}
	}
	if v >= 6006 {
		r.efi = "efi_pstore"
	}
	return r, true
}

// Word is a reason's name in a record's header (kmsg_dump_reason_str).
func (r Rules) Word(why Reason) string {
	if why < 0 || int(why) >= len(r.words) {
		return r.words[0]
	}
	return r.words[why]
}

// Wanted reports whether a dumper is called (kernel/printk/printk.c, kmsg_dump). A dumper that has
// not said what it wants has Undefined as its highest reason; always is printk.always_kmsg_dump.
func (r Rules) Wanted(why, highest Reason, always bool) bool {
	if !r.reasonsByDumper {
		return (why <= Oops || always) && (highest == Undefined || why <= highest)
	}
	if highest == Undefined {
		if always {
			return true
		}
		highest = Oops
	}
	return why <= highest
}

// room is how much of the log is taken to be compressed into a buffer of size bytes.
func (r Rules) room(size int) int {
	percent := 60
	if r.oldPercent {
		switch {
		case size >= 1000 && size <= 2000:
			percent = 56
		case size > 2000 && size <= 3000:
			percent = 54
		case size > 3000 && size < 4000:
			percent = 52
		case size >= 4000 && size <= 10000:
			percent = 45
		}
	}
	return size * 100 / percent
}

// unpacked is how long a record may become when it is read back. It is the buffer's own room before
// 6.6, and three times the record's after.
func (r Rules) unpacked(size int) int {
	if r.oldPercent {
		return r.room(size)
	}
	return 3 * size
}

// code is LINUX_VERSION_CODE.
func (r Rules) code() uint32 {
	return uint32(r.Major<<16 | r.Minor<<8 | min(r.Patch, 255))
}

func (r Rules) String() string { return fmt.Sprintf("%d.%d.%d", r.Major, r.Minor, r.Patch) }
