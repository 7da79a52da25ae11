// Initramfs builds a bootable initramfs: a newc cpio archive with an init, device nodes, BusyBox if
// wanted, kernel modules and whatever else is named, packed by gzip or zstd.
//
//	go run ./initramfs --init build/init-amd64 --tree initramfs/files --output initramfs.gz
//
// The same inputs give the same bytes, whoever builds, wherever and whenever, with the same Go
// toolchain. What a kernel would silently unpack into something else than was asked for is refused,
// by name: see docs/initramfs.md, which also lists the flags and the format of manifests.
//
// It needs no privileges: device nodes are only described in the archive.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run builds the image that the arguments describe and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	summary, err := build(args)
	var usage *usageError
	switch {
	case errors.As(err, &usage) && errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, usage.text)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "initramfs: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, summary)
	return 0
}
