package qemu

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rebound-init/rebound/initramfs/image"
)

// BusyBoxFiles are what a guest needs in which BusyBox is everything: init and a shell. Its
// applets are to be called as `busybox NAME`.
func BusyBoxFiles(arch string) []File {
	busybox := filepath.Join(BuildDir(), "busybox", arch)
	var files []File
	for _, p := range []string{"init", "bin/sh", "bin/busybox"} {
		files = append(files, File{Path: p, Perm: 0o755, Source: busybox})
	}
	return files
}

// writeInitrd joins archives and files to one initramfs. The kernel takes several archives, each
// compressed or not, one behind the other [Documentation/driver-api/early-userspace/
// buffer-format.rst]; what a later one has replaces what an earlier one had.
func writeInitrd(name string, archives []string, files []File) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, a := range archives {
		if err := appendFile(out, a); err != nil {
			return err
		}
	}
	if len(files) > 0 {
		if err := writeFiles(out, files); err != nil {
			return err
		}
	}
	return out.Close()
}

// appendFile copies a file and fills up with zeros: an archive that is not compressed must begin
// at a multiple of four, and the kernel skips zeros between archives.
func appendFile(out io.Writer, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(out, in)
	if err != nil {
		return err
	}
	_, err = out.Write(make([]byte, (4-n%4)%4))
	return err
}

// writeFiles writes an archive of the files and the directories they lie in.
func writeFiles(out io.Writer, files []File) error {
	var im image.Image
	for _, f := range files {
		perm := f.Perm
		if perm == 0 {
			perm = 0o644
		}
		e := image.Entry{
			Path: f.Path, Kind: image.File, Rank: image.Overlaid, Perm: perm,
			From: "the machine's files", Source: f.Source, Data: []byte(f.Data),
		}
		if err := im.Add(e); err != nil {
			return fmt.Errorf("initramfs: %w", err)
		}
	}
	if err := im.Settle(); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	if _, err := im.Write(out, image.None); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	return nil
}
