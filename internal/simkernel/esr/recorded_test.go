package esr

import (
	_ "embed"
	"regexp"
	"slices"
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
