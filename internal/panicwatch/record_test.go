package panicwatch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
)

// TestParseRecord: the head of a record, with what kernels have added to it, and what is none.
func TestParseRecord(t *testing.T) {
	type record struct {
		facility uint64
		level    kernel.Level
		seq      uint64
		text     string
	}
	for _, c := range []struct {
		in   string
		want record
		bad  bool
	}{
		{in: "6,339,5140900,-;NET: Registered PF_INET\n", want: record{0, 6, 339, "NET: Registered PF_INET"}},
		{in: "30,340,5690716,-;udevd[80]: starting\n", want: record{3, 6, 340, "udevd[80]: starting"}},
		{in: "4,0,0,-,caller=T1;x\n", want: record{0, 4, 0, "x"}},
		{in: "4,1,0,c;part", want: record{0, 4, 1, "part"}},
		{in: "3,2,9,-;a;b,c\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:01.0\n", want: record{0, 3, 2, "a;b,c"}},
		{in: `0,3,9,-;two\x0alines` + "\n", want: record{0, 0, 3, `two\x0alines`}},
		{in: "8191,999999999999999999,1,-;x\n", want: record{1023, 7, 999999999999999999, "x"}},
		{in: "0,3,9,-;\n", want: record{0, 0, 3, ""}},
		{in: "", bad: true},
		{in: "text\n", bad: true},
		{in: "6,1,2,-\n", bad: true},
		{in: "6;x\n", bad: true},
		{in: "6,;x\n", bad: true},
		{in: ",1,2,-;x\n", bad: true},
		{in: "-6,1,2,-;x\n", bad: true},
		{in: "6,+1,2,-;x\n", bad: true},
		{in: "6,1x,2,-;x\n", bad: true},
		{in: "6,1000000000000000000,2,-;x\n", bad: true},
	} {
		r, ok := panicwatch.ParseRecord([]byte(c.in))
		got := record{r.Facility, r.Level, r.Seq, string(r.Text)}
		if ok == c.bad || ok && got != c.want {
			t.Errorf("%q:\ngot  %v %+v\nwant %v %+v", c.in, ok, got, !c.bad, c.want)
		}
	}
}

// FuzzParseRecord: what is taken can be written again, and nothing of it is anybody else's.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;NET: Registered\n SUBSYSTEM=x\n"))
	f.Add([]byte("4,0,0,-,caller=T1;x\n"))
	f.Add([]byte(";"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		r, ok := panicwatch.ParseRecord(b)
		if string(b) != before {
			t.Fatalf("%q has become %q", before, b)
		}
		if !ok {
			return
		}
		if r.Level > 7 || strings.Contains(string(r.Text), "\n") || !strings.Contains(before, string(r.Text)) {
			t.Errorf("%q: got %+v", before, r)
		}
		again, ok := panicwatch.ParseRecord(fmt.Appendf(nil, "%d,%d,0,-;%s\n",
			r.Facility<<3|uint64(r.Level), r.Seq, r.Text))
		if !ok || again.Facility != r.Facility || again.Seq != r.Seq || string(again.Text) != string(r.Text) {
			t.Errorf("%q: got %+v, and again %v %+v", before, r, ok, again)
		}
	})
}
