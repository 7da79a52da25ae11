package esr

import (
	_ "embed"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oops61 is what a 6.1 kernel of Debian's for arm64 said in QEMU when a module wrote to address 0x30.
//
//go:embed testdata/oops-6.1.log
var oops61 string

// recorded are its lines without their times.
func recorded() []string {
	stamp := regexp.MustCompile(`^\[ *[0-9]+\.[0-9]{6}\] `)
	var lines []string
	for line := range strings.Lines(oops61) {
		lines = append(lines, stamp.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
	}
	return lines
}

// aborts61 are accesses of many kinds by a module of the same kernel, on a processor with PAN. Of each
// there are only the lines of the exception.
//
//go:embed testdata/aborts-6.1.log
var aborts61 string

// TestRecordedAborts plays each of them from its registers and page tables.
func TestRecordedAborts(t *testing.T) {
	symbol := regexp.MustCompile(`ESR = (0x[0-9a-f]+)`)
	address := regexp.MustCompile(`virtual address ([0-9a-f]+)`)
	entry := regexp.MustCompile(`(?:pgd|p4d|pud|pmd|pte|pgdp)=([0-9a-f]+)`)
	count := regexp.MustCompile(`\[#(\d+)\]`)
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// The registers of exceptions that are no aborts are in the line of the oops only.
	others := map[string]Class{"undef": Unknown, "brk": BRK64, "bug": BRK64, "pc": PCAlign}
	played := 0
	for _, block := range strings.Split(aborts61, "way ")[1:] {
		lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
		way := lines[0]
		last := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Internal") })
		if last < 0 {
			t.Fatalf("%s: no oops among %q", way, lines)
		}
		n := int(number(count.FindStringSubmatch(lines[last])[1]))
		var fate Fate
		var said []Line
		var err uint64
		if class, ok := others[way]; ok {
			e := ESR(number("0x" + regexp.MustCompile(`: ([0-9a-f]{16}) `).FindStringSubmatch(lines[last])[1]))
			equal(t, "class", e.EC(), class)
			fate = Linux61.Exception(Vector{}, e).Fate
			if fate.Kind == Debugs {
				fate, said = Linux61.Debug(e, map[string]Breakpoint{"bug": BugHere}[way])
			}
			err = Linux61.Err(fate, e)
		} else {
			a := Access{
				ESR: ESR(number(symbol.FindStringSubmatch(block)[1])),
				FAR: number("0x" + address.FindStringSubmatch(block)[1]),
				// The process may do it, but the kernel must not do it so.
				Mapped:    strings.HasPrefix(way, "user") && way != "usernone",
				NoContext: way == "kthread",
			}
			if way == "tag" {
				a.FAR |= 0x5a << tagShift
			}
			for i, m := range entry.FindAllStringSubmatch(block, -1) {
				if i == 0 {
					a.Walk.PGD = number("0x" + m[1])
				} else {
					a.Walk.Entries = append(a.Walk.Entries, number("0x"+m[1]))
				}
			}
			d := Linux61.MemAbort(a)
			fate, said, err = d.Fate, d.Lines, d.Err
		}
		equalLines(t, way, append(said, Linux61.InternalError(fate.Die, err, n)), lines[1:last+1]...)
		played++
	}
	equal(t, "played", played, 18)
}

//go:embed testdata/unhandled-6.1.log
var unhandled61 string

//go:embed testdata/bad-stack-6.1.log
var badStack61 string

// TestRecordedPanics are the first lines of an illegal execution state, which a module has brought about,
// and of a stack that a module has used up.
func TestRecordedPanics(t *testing.T) {
	e := New(Illegal, true, 0, 0)
	equal(t, "unhandled", Linux61.Unexpected(Vector{}, 0, e).Text, strings.Split(unhandled61, "\n")[0])
	equal(t, "panic", strings.Contains(unhandled61,
		"Kernel panic - not syncing: "+Linux61.Exception(Vector{}, e).Fate.Panic+"\n"), true)

	lines := Linux61.BadStack(New(DAbort, true, 0x47, 0), 0xffff800008237e20,
		Stack{0xffff800008238000, 0x4000}, Stack{0xffff800008000000, 0x4000},
		Stack{0xffff00001feac310, 0x1000})
	equalLines(t, "bad stack", lines, strings.Split(badStack61, "\n")[:len(lines)]...)
	equal(t, "panic", strings.Contains(badStack61, "Kernel panic - not syncing: "+StackOverflow+"\n"), true)
}

// TestRecordedOops prints the recorded oops from the registers it had.
func TestRecordedOops(t *testing.T) {
	death := Linux61.MemAbort(Access{
		ESR: 0x96000046, FAR: 0x30,
		Walk: Walk{PGD: 0x4339f000, Entries: []uint64{
			0x08000000433a0003, 0x08000000433a0003, 0x08000000433a1003, 0,
		}},
	})
	want := recorded()
	said := words(death.Lines)
	if got := want[:len(said)]; !slices.Equal(said, got) {
		t.Errorf("before die():\ngot  %q\nwant %q", said, got)
	}
	next := want[len(said):]
	line := Linux61.InternalError(death.Fate.Die, death.Err, 1)
	equal(t, "die", line.Text, next[0])

	regs := &Regs{
		PC: "lab_init+0x9c/0x1000 [lab]", LR: "lab_init+0x90/0x1000 [lab]",
		SP: 0xffff8000086e37a0, PState: 5,
		X: [30]uint64{
			29: 0xffff8000086e37a0, 28: 0xffff8000086e3930, 26: 0xffffde242975c9c0,
			25: 0xffffde23b02fe198, 24: 0xffffde23b02fe180, 23: 0xffff8000086e3a38,
			22: 0xffffde23b02fe000, 21: 0xffff625448065d80, 20: 0xffff62544805d510,
			19: 0xffffde23b02fe080, 18: 6, 17: 0x124, 16: 0xffffde242869b470, 14: 1,
			13: 0x0064692d646c6975, 12: 0x622e756e672e6574, 11: 0xffffde242921ca00,
			10: 0x00007bcf6829ec80, 9: 0x20, 8: 0x0101010101010101, 7: 0x7f7f7f7f7f7f7f7f,
			6: 0x80808080, 4: 0x8080808000000000, 1: 1, 0: 0x30,
		},
	}
	from := slices.Index(next, Linux61.PState(regs.PState).Text)
	if from < 0 {
		t.Fatalf("there is no line %q", Linux61.PState(regs.PState).Text)
	}
	lines := words(Linux61.Registers(regs))
	if got := next[from : from+len(lines)]; !slices.Equal(lines, got) {
		t.Errorf("registers:\ngot  %q\nwant %q", lines, got)
	}
	code := [5]uint32{0x940000ce, 0x35000080, 0xd2800600, 0x52800021, 0xb9000001}
	var words [5]*uint32
	for i := range code {
		words[i] = &code[i]
	}
	if text := Linux61.Code(words).Text; !slices.Contains(next, text) {
		t.Errorf("code: %q is not among\n%q", text, next)
	}
}
