package halt

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// met returns options that write down how they were met.
func met(log *[]string) []option {
	note := func(name string) func(string) error {
		return func(v string) error {
			*log = append(*log, name+"="+v)
			return nil
		}
	}
	return []option{
		{letter: 'd', long: "delay", value: true, set: note("d")},
		{letter: 'n', long: "no-sync", set: note("n")},
		{letter: 'f', long: "force", set: note("f")},
		{letter: 'i', set: note("i")},
		{long: "help", set: note("help")},
	}
}

func TestGetopt(t *testing.T) {
	for _, c := range []struct {
		line     string
		met      string
		operands string
		err      string
	}{
		{"", "", "", ""},
		{"-n -f", "n= f=", "", ""},
		{"-nf", "n= f=", "", ""},
		{"-d3", "d=3", "", ""},
		{"-d 3", "d=3", "", ""},
		{"-nd3", "n= d=3", "", ""},
		{"-nd 3 -f", "n= d=3 f=", "", ""},
		{"-d -n", "d=-n", "", ""}, // a value is a value, as getopt(3) has it
		{"--delay=3", "d=3", "", ""},
		{"--delay 3", "d=3", "", ""},
		{"--delay=", "d=", "", ""},
		{"--delay=a=b", "d=a=b", "", ""},
		{"--help --force", "help= f=", "", ""},
		{"recovery -f", "f=", "recovery", ""},
		{"-f -- -n", "f=", "-n", ""},
		{"--", "", "", ""},
		{"- -f", "f=", "-", ""},
		{"-p", "", "", "invalid option -- 'p'"},
		{"-np", "n=", "", "invalid option -- 'p'"},
		{"-f-", "f=", "", "invalid option -- '-'"},
		{"-d", "", "", "option requires an argument -- 'd'"},
		{"--delay", "", "", "option '--delay' requires an argument"},
		{"--force=1", "", "", "option '--force' doesn't allow an argument"},
		{"--forc", "", "", "unrecognized option '--forc'"},
		{"--=x", "", "", "unrecognized option '--'"},
		{"---", "", "", "unrecognized option '---'"},
	} {
		var log []string
		operands, err := getopt(strings.Fields(c.line), met(&log))
		got := []string{strings.Join(log, " "), strings.Join(operands, " "), ""}
		if err != nil {
			got[2] = err.Error()
		}
		if want := []string{c.met, c.operands, c.err}; !slices.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", c.line, got, want)
		}
	}
}

// FuzzGetopt: no word is lost. Every word of the line is an operand, a value, or consists of
// options that were met.
func FuzzGetopt(f *testing.F) {
	for _, s := range []string{"-nf", "-d 3 x", "--delay=3", "-- -f", "-fd", "a - b", "--x=\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		before := slices.Clone(words)
		var log []string
		operands, err := getopt(words, met(&log))
		if d := cmp.Diff(before, words); d != "" {
			t.Fatalf("arguments changed:\n%s", d)
		}
		if err != nil {
			if operands != nil || err.Error() == "" {
				t.Fatalf("got %q with error %q", operands, err)
			}
			return
		}
		// What was met, written as plainly as can be, has to read the same again.
		var plain, log2 []string
		for _, m := range log {
			name, value, _ := strings.Cut(m, "=")
			switch name {
			case "d":
				plain = append(plain, "-d", value)
			case "help":
				plain = append(plain, "--help")
			default:
				plain = append(plain, "-"+name)
			}
		}
		plain = append(append(plain, "--"), operands...)
		again, err := getopt(plain, met(&log2))
		if err != nil || !slices.Equal(log, log2) || !slices.Equal(operands, again) {
			t.Fatalf("%q met %q, operands %q; %q met %q, operands %q, %v",
				words, log, operands, plain, log2, again, err)
		}
		count := 0
		for _, w := range words {
			if w != "--" && (w == "-" || !strings.HasPrefix(w, "-")) {
				count++
			}
		}
		if !slices.Contains(words, "--") && len(operands) > count {
			t.Fatalf("%q: got %d operands, want at most %d", words, len(operands), count)
		}
	})
}
