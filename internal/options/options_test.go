package options_test

import (
	"errors"
	"flag"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/options"
)

// TestParse: options are found wherever they stand, up to a double dash.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		n    int
		want []string
		err  string
	}{
		{args: "", n: 1},
		{args: "-n 2 a b", n: 2, want: []string{"a", "b"}},
		{args: "a --n=3 b", n: 3, want: []string{"a", "b"}},
		{args: "a b -n 4", n: 4, want: []string{"a", "b"}},
		{args: "a -n 5 -- -n 6", n: 5, want: []string{"a", "-n", "6"}},
		{args: "-- -n 7", n: 1, want: []string{"-n", "7"}},
		{args: "a -x", n: 1, err: "flag provided but not defined: -x"},
		{args: "-n x", n: 1, err: "invalid value"},
	} {
		var out strings.Builder
		fs := options.New(&out, "prog", "cmd", "FILE...", "Does it.")
		n := fs.Int("n", 1, "how many")
		words, err := options.Parse(fs, strings.Fields(c.args))
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.err)
		}
		if !slices.Equal(words, c.want) || err == nil && *n != c.n {
			t.Errorf("%q: got %q and n %d, want %q and %d", c.args, words, *n, c.want, c.n)
		}
		if out.Len() > 0 {
			t.Errorf("%q: it says %q, and a mistake is its caller's to tell", c.args, out.String())
		}
	}
}

// TestHelp: help is printed when it is asked for, behind other words too.
func TestHelp(t *testing.T) {
	for _, args := range []string{"-h", "--help", "a -n 3 -help"} {
		var out strings.Builder
		fs := options.New(&out, "prog", "cmd", "FILE...", "Does it.")
		fs.Int("n", 1, "how many")
		if _, err := options.Parse(fs, strings.Fields(args)); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: error %v, want ErrHelp", args, err)
		}
		for _, want := range []string{"Usage: prog cmd [OPTIONS] FILE...\n\nDoes it.\n", "-n int", "how many"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q: got %q, want %q in it", args, out.String(), want)
			}
		}
	}
}

// TestSeveral: each is read, and added to those before it.
func TestSeveral(t *testing.T) {
	fs := options.New(new(strings.Builder), "prog", "cmd", "", "Does it.")
	var all []int
	fs.Var(options.Several(&all, strconv.Atoi), "n", "a `number`")
	if _, err := options.Parse(fs, []string{"-n", "3", "-n", "1"}); err != nil || !slices.Equal(all, []int{3, 1}) {
		t.Errorf("got %v and error %v, want 3 and 1", all, err)
	}
	if _, err := options.Parse(fs, []string{"-n", "x"}); err == nil || len(all) != 2 {
		t.Errorf("x for a number: got %v and error %v", all, err)
	}
}
