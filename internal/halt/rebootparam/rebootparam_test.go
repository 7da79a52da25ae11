package rebootparam

import (
	"errors"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		content, want string
		err           error
	}{
		{"recovery\n", "recovery", nil},
		{"a b=c 'd'\n", "a b=c 'd'", nil},
		{"mode-\xc3\xa9\xff\n", "mode-\xc3\xa9\xff", nil},
		{strings.Repeat("x", 255) + "\n", strings.Repeat("x", 255), nil},
		{strings.Repeat("x", 256) + "\n", "", ErrTooLong},
		{strings.Repeat("x", 256), "", ErrTooLong},
		{"", "", ErrCut},
		{"recovery", "", ErrCut},
		{"\n", "", ErrEmpty},
		{"a\nb\n", "", ErrControl},
		{"a\n\n", "", ErrControl},
		{"a\x00b\n", "", ErrControl},
		{"\x1b[2J\n", "", ErrControl},
		{"a\x7f\n", "", ErrControl},
		{"recovery\r\n", "", ErrControl},
	} {
		got, err := Decode([]byte(c.content))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Decode(%q)\n got %q, %v\nwant %q, %v", c.content, got, err, c.want, c.err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), Path+" ") {
			t.Errorf("Decode(%q): got error %q, want it to name the file", c.content, err)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		arg string
		err error
	}{
		{"recovery", nil},
		{"", ErrEmpty},
		{"a\nb", ErrControl},
		{strings.Repeat("x", 256), ErrTooLong},
	} {
		_, err := Encode(c.arg)
		if !errors.Is(err, c.err) {
			t.Errorf("Encode(%q): got %v, want %v", c.arg, err, c.err)
		}
	}
}

// FuzzDecode: what is accepted is fit for reboot(2) and for the console, and encodes to the very
// content it came from.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"recovery\n", "", "\n", "a\x00\n", strings.Repeat("x", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		arg, err := Decode(content)
		if err != nil {
			if arg != "" {
				t.Fatalf("got %q with error %v", arg, err)
			}
			return
		}
		if arg == "" || len(arg) > MaxLen || strings.ContainsAny(arg, "\x00\n\r\x1b") {
			t.Fatalf("accepted %q", arg)
		}
		again, err := Encode(arg)
		if err != nil || string(again) != string(content) {
			t.Fatalf("got %q, %v; want %q", again, err, content)
		}
	})
}
