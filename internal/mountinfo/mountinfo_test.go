package mountinfo

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const text = `1 1 0:2 / / rw - rootfs rootfs rw,size=497820k
21 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw
22 1 253:1 /a\040b /mnt/with\040blank rw,relatime shared:1 master:2 - ext4 /dev/dm-1 rw
23 1 0:30 / /net rw - fuse.sshfs host:/a - b rw
not a mount
24 1 0:31
`
	want := []Mount{
		{"/", "rootfs"},
		{"/proc", "proc"},
		{`/mnt/with\040blank`, "ext4"},
		{"/net", "fuse.sshfs"},
	}
	if got := Parse([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1 1 0:2 / / rw - rootfs rootfs rw\n")
	f.Add("1 1 0:2 / /x -  - \n - a\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range Parse([]byte(text)) {
			if m.Point == "" || m.Type == "" || strings.ContainsAny(m.Point+m.Type, " \n") {
				t.Errorf("%q gives %q", text, m)
			}
		}
	})
}
