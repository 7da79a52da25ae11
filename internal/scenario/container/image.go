package container

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rebound-init/rebound/internal/scenario/live"
)

// build makes the image: all that is to be in the container, as one layer.
func (b *box) build(ctx context.Context, programs live.Programs) error {
	var err error
	if b.dir, err = os.MkdirTemp("", "container"); err != nil {
		return err
	}
	root := filepath.Join(b.dir, "root")
	if err := live.Furnish(root, b.s, programs); err != nil {
		return err
	}
	if err := os.Symlink("sbin/init", root+entryPoint); err != nil {
		return err
	}
	archive := filepath.Join(b.dir, "root.tar")
	if err := writeTar(archive, root); err != nil {
		return err
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	_, err = podman(ctx, "import", "--quiet", "--change", `ENTRYPOINT ["`+entryPoint+`"]`, archive,
		b.name)
	return err
}

// writeTar writes an archive of all that is below a directory. It belongs to root.
func writeTar(archive, root string) error {
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	err = filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == root {
			return err
		}
		target := ""
		if info.Mode()&os.ModeSymlink != 0 {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(path, root+"/")
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		content, err := os.Open(path)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(w, content)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

// remove removes the container, the image and the files.
func (b *box) remove() {
	// Whatever is there, also if the play was given up.
	_ = exec.Command("podman", "rm", "--force", "--ignore", "--time", "0", b.name).Run()
	_ = exec.Command("podman", "rmi", "--force", b.name).Run()
	if b.cmd != nil {
		<-b.over
	}
	for _, f := range b.files {
		f.Close()
	}
	if b.dir != "" {
		os.RemoveAll(b.dir)
	}
}
