package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// aptWorld answers apt's and dpkg's commands from a table and remembers them.
type aptWorld struct {
	calls    []string
	failures map[string]int      // how often a call with this word fails first
	contents map[string][]string // files of a package
	texts    map[string]string   // content of the files of all packages, by path
	needs    map[string][]string // what a package depends on, if not on itself-6.1 alone
}

func (w *aptWorld) run(dir, name string, args ...string) (string, error) {
	call := name + " " + strings.Join(args, " ")
	w.calls = append(w.calls, call)
	for word, n := range w.failures {
		if n > 0 && slices.Contains(args, word) {
			w.failures[word]--
			return "", &CommandError{Name: name, Args: args, Err: errors.New("exit status 100")}
		}
	}
	last := args[len(args)-1]
	switch {
	case slices.Contains(args, "update"):
		for _, a := range args {
			if lists, ok := strings.CutPrefix(a, "Dir::State::lists="); ok {
				touch(filepath.Join(lists, "mirror_main_Packages.lz4"))
			}
		}
	case slices.Contains(args, "depends") && w.needs[last] != nil:
		out := last + "\n"
		for _, p := range w.needs[last] {
			out += "  Depends: " + p + "\n"
		}
		return out, nil
	case slices.Contains(args, "depends"):
		return last + "\n  Depends: " + last + "-6.1\n", nil
	case slices.Contains(args, "indextargets"):
		return "http://mirror/security main\nhttp://mirror/debian/ main\n", nil
	case slices.Contains(args, "download"):
		touch(filepath.Join(dir, last+"_1_all.deb"))
	case name == "dpkg-deb":
		pkg, _, _ := strings.Cut(filepath.Base(args[1]), "_")
		for _, f := range w.contents[pkg] {
			touch(filepath.Join(args[2], f))
		}
		for f, text := range w.texts {
			if strings.Contains(f, pkg+"/") {
				touch(filepath.Join(args[2], f))
				if err := os.WriteFile(filepath.Join(args[2], f), []byte(text), 0o644); err != nil {
					return "", err
				}
			}
		}
	}
	return "", nil
}

func touch(path string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		panic(err)
	}
}

func newWorld(t *testing.T) (*aptWorld, *fetcher) {
	t.Helper()
	w := &aptWorld{
		failures: map[string]int{},
		contents: map[string][]string{
			"linux-image-cloud-arm64-6.1": {"boot/vmlinuz-6.1", "lib/modules/6.1/modules.dep"},
			"busybox-static":              {"usr/bin/busybox"},
		},
	}
	return w, &fetcher{dir: t.TempDir(), run: w.run, log: io.Discard, euid: 1000}
}

func TestSecondRunFetchesNothing(t *testing.T) {
	w, f := newWorld(t)
	things := []string{"kernel", "busybox"}
	if err := f.fetch("arm64", things); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"kernels/arm64/vmlinuz", "kernels/arm64/lib/modules/6.1/modules.dep", "busybox/arm64",
	} {
		if !exists(filepath.Join(f.dir, want)) {
			t.Errorf("%s is missing", want)
		}
	}
	w.calls = nil
	if err := f.fetch("arm64", things); err != nil {
		t.Fatal(err)
	}
	if len(w.calls) != 0 {
		t.Errorf("second run called:\n%s", strings.Join(w.calls, "\n"))
	}
}

// An apt-get without these would look at, or change, the package state of the machine it runs on.
func TestAptIsKeptFromTheMachinesOwnState(t *testing.T) {
	w, f := newWorld(t)
	if err := f.fetch("arm64", []string{"kernel", "busybox"}); err != nil {
		t.Fatal(err)
	}
	for _, call := range w.calls {
		if !strings.HasPrefix(call, "apt-") {
			continue
		}
		for _, want := range []string{
			"APT::Architectures=arm64", "Dir::State=" + f.dir, "Dir::State::status=" + f.dir,
			"Dir::State::lists=" + f.dir, "Dir::Cache=" + f.dir,
		} {
			if !strings.Contains(call, "-o "+want) {
				t.Errorf("%q\nlacks -o %s", call, want)
			}
		}
	}
}

func TestOldListsAreRenewedOnce(t *testing.T) {
	w, f := newWorld(t)
	if err := f.fetch("arm64", []string{"kernel"}); err != nil {
		t.Fatal(err)
	}
	w.calls, w.failures["download"] = nil, 1
	if err := f.fetch("arm64", []string{"busybox"}); err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, call := range w.calls {
		for _, verb := range []string{"update", "download"} {
			if strings.Contains(call+" ", " "+verb+" ") {
				verbs = append(verbs, verb)
			}
		}
	}
	if want := []string{"download", "update", "download"}; !slices.Equal(verbs, want) {
		t.Errorf("apt-get was asked to %v, want %v", verbs, want)
	}
}

func TestAFailedDownloadLeavesNothingBehind(t *testing.T) {
	w, f := newWorld(t)
	w.failures["-x"] = 1 // dpkg-deb
	if err := f.fetch("arm64", []string{"kernel"}); err == nil {
		t.Fatal("no error though dpkg-deb failed")
	}
	left, err := filepath.Glob(filepath.Join(f.dir, "kernels", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// Debian has riscv64 only since 13, so its package lists come from that release of whichever
// mirror the machine is set to.
func TestAnotherReleaseComesFromTheSameMirror(t *testing.T) {
	_, f := newWorld(t)
	if err := f.fetch("riscv64", []string{"busybox"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(f.dir, "apt", "riscv64", "sources.list"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://mirror/debian trixie main\n"; !strings.HasSuffix(string(got), want) {
		t.Errorf("sources.list:\n got %q\nwant %q at the end", got, want)
	}
}

func TestWithoutRootTheCommandIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	w, f := newWorld(t)
	err := f.fetch("amd64", []string{"program:qemu-system-aarch64", "program:cc"})
	var privilege *PrivilegeError
	if !errors.As(err, &privilege) {
		t.Fatalf("got %v, want a PrivilegeError", err)
	}
	if want := "gcc libc6-dev qemu-system-arm"; !strings.HasSuffix(privilege.Command, want) {
		t.Errorf("command %q does not end in %q", privilege.Command, want)
	}
	if len(w.calls) != 0 {
		t.Errorf("ran %q without root", w.calls)
	}
}

func TestRootInstallsAfterAnUpdateIfThatIsNeeded(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	w, f := newWorld(t)
	f.euid = 0
	w.failures["install"] = 1
	if err := f.fetch("amd64", []string{"program:qemu-system-x86_64"}); err != nil {
		t.Fatal(err)
	}
	if len(w.calls) != 3 || !strings.HasSuffix(w.calls[1], "update") {
		t.Errorf("want install, update, install; got %q", w.calls)
	}
}

func TestUnknownThingsAreNamed(t *testing.T) {
	for _, c := range []struct{ arch, thing, want string }{
		{"amd64", "kernle", `"kernle"`},
		{"amd64", "package:", `"package:"`},
		{"sparc", "kernel", `"sparc"`},
		{"amd64", "program:frobnicate", `"frobnicate"`},
	} {
		_, f := newWorld(t)
		err := f.fetch(c.arch, []string{c.thing})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("fetch %s %s: got %v, want an error with %s", c.arch, c.thing, err, c.want)
		}
	}
}

// Debian's headers of a kernel lie in three packages of two architectures, and the Makefile of one
// includes what another would have installed below /usr/src.
func TestHeadersAreOneTreeThatNeedsNothingInstalled(t *testing.T) {
	for _, c := range []struct{ thing, tree, release string }{
		{"headers-generic", "arm64-generic", "6.1.0-56-arm64"},
		{"headers", "arm64", "6.1.0-56-cloud-arm64"},
	} {
		t.Run(c.thing, func(t *testing.T) { headersAreOneTree(t, c.thing, c.tree, c.release) })
	}
}

func headersAreOneTree(t *testing.T, thing, name, release string) {
	w, f := newWorld(t)
	touch(filepath.Join(f.dir, "kernels", name, "boot/config-"+release))
	const common, kbuild = "linux-headers-6.1.0-56-common", "linux-kbuild-6.1"
	flavour := "linux-headers-" + release
	w.needs = map[string][]string{flavour: {"gcc-12", common, kbuild}}
	w.contents[flavour] = []string{"usr/src/" + flavour + "/.config"}
	w.contents[common] = []string{"usr/src/" + common + "/Makefile", "usr/share/doc/" + common}
	w.contents[kbuild] = []string{"usr/lib/linux-kbuild-6.1/scripts/mod/modpost"}
	w.texts = map[string]string{
		"usr/src/" + flavour + "/Makefile": "include /usr/src/" + common + "/Makefile\n",
	}
	if err := f.fetch("arm64", []string{thing}); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(f.dir, "headers", name)
	for _, want := range []string{
		"build/.config", "usr/src/" + common + "/Makefile",
		"usr/lib/linux-kbuild-6.1/scripts/mod/modpost",
	} {
		if !exists(filepath.Join(tree, want)) {
			t.Errorf("%s is missing", want)
		}
	}
	makefile, err := os.ReadFile(filepath.Join(tree, "build/Makefile"))
	const want = "include $(dir $(lastword $(MAKEFILE_LIST)))../" + common + "/Makefile\n"
	if err != nil || string(makefile) != want {
		t.Errorf("the Makefile (%v):\n got %q\nwant %q", err, makefile, want)
	}
	architectures := map[string]string{}
	for _, call := range w.calls {
		if verb, pkg, ok := strings.Cut(call, " download "); ok {
			_, arch, _ := strings.Cut(verb, "APT::Architecture=")
			architectures[pkg], _, _ = strings.Cut(arch, " ")
		}
	}
	if architectures[flavour] != "arm64" || architectures[kbuild] != "amd64" ||
		architectures["gcc-12"] != "" {
		t.Errorf("packages came for these architectures: %v", architectures)
	}
	w.calls = nil
	if err := f.fetch("arm64", []string{thing}); err != nil || len(w.calls) != 0 {
		t.Errorf("a second run called (%v):\n%s", err, strings.Join(w.calls, "\n"))
	}
}

func TestHeadersNeedTheirKernel(t *testing.T) {
	for _, name := range []string{"", "-generic"} {
		_, f := newWorld(t)
		err := f.fetch("arm64", []string{"headers" + name})
		if want := "headers" + name + ": fetch kernel" + name + " first"; err == nil || err.Error() != want {
			t.Errorf("headers%s: got %v, want %q", name, err, want)
		}
	}
}
