package nearest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWordFindsWhatWasMeant(t *testing.T) {
	actions := []string{"sysinit", "wait", "once", "respawn", "askfirst", "shutdown", "restart"}
	for _, c := range []struct{ word, want string }{
		{"respwan", "respawn"},    // swapped
		{"sysnit", "sysinit"},     // left out
		{"shutdwonn", "shutdown"}, // swapped and added
		{"SYSINIT", "sysinit"},
		{"onse", "once"},
		{"wait", "wait"},
		{"off", ""},
		{"x", ""},
		{"", ""},
		{"powerfail", ""},
		{strings.Repeat("wait", 1<<20), ""},
	} {
		if got := Word(c.word, actions); got != c.want {
			t.Errorf("Word(%.20q)\n got  %q\n want %q", c.word, got, c.want)
		}
	}
}

func TestTheFirstOfEquallyNearWordsWins(t *testing.T) {
	if got := Word("bat", []string{"cat", "rat"}); got != "cat" {
		t.Errorf("got %q, want cat", got)
	}
}

func TestDistanceIsSymmetricAndZeroOnlyForEqualWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,6}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) {
			t.Fatalf("distance(%q, %q) = %d, the other way %d", a, b, d, distance(b, a))
		}
		if (d == 0) != (a == b) || d > max(len(a), len(b)) || d < abs(len(a)-len(b)) {
			t.Fatalf("distance(%q, %q) = %d", a, b, d)
		}
	})
}
