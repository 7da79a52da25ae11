package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A debianArch is what Debian calls an architecture and its kernels.
type debianArch struct {
	name    string
	suite   string // empty: the suites this machine uses
	cloud   string // the package that depends on the kernel for virtual machines
	generic string // the same for the kernel for all machines
}

// arches is keyed by Go's names. Debian has no kernel for virtual machines on the last two, and
// riscv64 became one of its architectures only with Debian 13.
var arches = map[string]debianArch{
	"amd64":   {"amd64", "", "linux-image-cloud-amd64", "linux-image-amd64"},
	"arm64":   {"arm64", "", "linux-image-cloud-arm64", "linux-image-arm64"},
	"arm":     {"armhf", "", "linux-image-armmp", "linux-image-armmp"},
	"riscv64": {"riscv64", "trixie", "linux-image-riscv64", "linux-image-riscv64"},
}

// unpack downloads a package and unpacks it as the directory to.
//
// It works beside to and renames at the end, so that an interrupted run leaves nothing that
// looks complete.
func (f *fetcher) unpack(a debianArch, pkg, to string) error {
	if exists(to) {
		return nil
	}
	fmt.Fprintf(f.log, "fetch: %s (%s) into %s\n", pkg, a.name, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(to), ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := f.retryUpdated(a, func(options []string) error {
		_, err := f.run(work, "apt-get", append(options, "download", pkg)...)
		return err
	}); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download %s: want one .deb, found %d", pkg, len(debs))
	}
	tree := filepath.Join(work, "tree")
	if _, err := f.run(work, "dpkg-deb", "-x", debs[0], tree); err != nil {
		return err
	}
	return os.Rename(tree, to)
}

var dependsLine = regexp.MustCompile(`(?m)^\s*Depends: (\S+)$`)

// dependency returns the first package that pkg depends on; Debian's linux-image packages
// without a version are empty but for that.
func (f *fetcher) dependency(a debianArch, pkg string) (string, error) {
	found, err := f.dependencies(a, pkg)
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// dependencies are the packages that pkg depends on, one at least.
func (f *fetcher) dependencies(a debianArch, pkg string) ([]string, error) {
	var found []string
	err := f.retryUpdated(a, func(options []string) error {
		out, err := f.run("", "apt-cache", append(options, "depends", pkg)...)
		if err != nil {
			return err
		}
		found = nil
		for _, m := range dependsLine.FindAllStringSubmatch(out, -1) {
			found = append(found, m[1])
		}
		if found == nil {
			return fmt.Errorf("apt-cache depends %s (%s): no dependency in %q", pkg, a.name, out)
		}
		return nil
	})
	return found, err
}

// retryUpdated calls do with apt's options for a, with package lists that are there, and once
// more with new ones if it fails: old lists name packages that mirrors have removed.
func (f *fetcher) retryUpdated(a debianArch, do func(options []string) error) error {
	fresh, err := f.ensureLists(a)
	if err != nil {
		return err
	}
	if err := do(f.aptOptions(a)); err == nil || fresh {
		return err
	}
	f.update(a)
	return do(f.aptOptions(a))
}

// ensureLists makes apt's private directory for a, and fetches the package lists if there are
// none. It reports whether it did.
func (f *fetcher) ensureLists(a debianArch) (fresh bool, err error) {
	dir := f.aptDir(a)
	if exists(filepath.Join(dir, "complete")) {
		return false, nil
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return false, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return false, err
	}
	if a.suite != "" {
		if err := f.writeSources(a); err != nil {
			return false, err
		}
	}
	if err := f.update(a); err != nil {
		return false, err
	}
	return true, os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)
}

// update fetches package lists. apt-get update also fails for reasons that do not matter here,
// such as a clean-up command of the machine's configuration that needs root, so it counts as
// done if there are lists.
func (f *fetcher) update(a debianArch) error {
	fmt.Fprintf(f.log, "fetch: package lists of %s\n", a.name)
	_, err := f.run("", "apt-get", append(f.aptOptions(a), "-q", "update")...)
	if lists, _ := filepath.Glob(filepath.Join(f.aptDir(a), "lists", "*_Packages*")); lists != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("apt-get update: this machine's package sources have nothing for %s", a.name)
}

// writeSources makes apt look at one suite only, at the mirror this machine uses.
func (f *fetcher) writeSources(a debianArch) error {
	native := arches["amd64"]
	if _, err := f.ensureLists(native); err != nil {
		return err
	}
	out, err := f.run("", "apt-get", append(f.aptOptions(native), "indextargets",
		"--format", "$(REPO_URI) $(COMPONENT)", "Identifier: Packages", "Origin: Debian")...)
	if err != nil {
		return err
	}
	uri, err := mirror(out)
	if err != nil {
		return err
	}
	signed := ""
	if key := "/usr/share/keyrings/debian-archive-keyring.gpg"; exists(key) {
		signed = "[signed-by=" + key + "] "
	}
	return os.WriteFile(filepath.Join(f.aptDir(a), "sources.list"),
		fmt.Appendf(nil, "deb %s%s %s main\n", signed, uri, a.suite), 0o644)
}

// mirror picks Debian's main archive from lines of "URI COMPONENT". Security updates live in an
// archive of their own, which has no suite complete.
func mirror(targets string) (string, error) {
	for line := range strings.Lines(targets) {
		uri, component, _ := strings.Cut(strings.TrimSpace(line), " ")
		if component == "main" && !strings.Contains(uri, "security") {
			return strings.TrimSuffix(uri, "/"), nil
		}
	}
	return "", errors.New("no Debian archive among this machine's package sources")
}

func (f *fetcher) aptDir(a debianArch) string {
	return filepath.Join(f.dir, "apt", a.name)
}

// aptOptions keeps apt away from this machine's package database, lists and architectures. Its
// configuration (proxies, mirrors, keys) is still used.
func (f *fetcher) aptOptions(a debianArch) []string {
	dir := f.aptDir(a)
	settings := []string{
		"APT::Architecture=" + a.name,
		"APT::Architectures=" + a.name,
		"Dir::State=" + dir,
		"Dir::State::lists=" + filepath.Join(dir, "lists"),
		"Dir::State::status=" + filepath.Join(dir, "status"),
		"Dir::Cache=" + filepath.Join(dir, "cache"),
		// Root's apt-get would drop to a user who may not write here.
		"APT::Sandbox::User=root",
		// Descriptions for software centres are half of all lists.
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::Languages=none",
		"Acquire::Retries=3",
	}
	if a.suite != "" {
		settings = append(settings,
			"Dir::Etc::sourcelist="+filepath.Join(dir, "sources.list"),
			"Dir::Etc::sourceparts=/dev/null")
	}
	var options []string
	for _, s := range settings {
		options = append(options, "-o", s)
	}
	return options
}
