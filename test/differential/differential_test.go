package differential

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rebound-init/rebound/test/pidns"
)

var (
	update = flag.Bool("update", false, "write the differences found into the cases")
	show   = flag.Bool("show", false, "log both transcripts of each case")
	solo   = flag.Bool("busybox-only", false, "play the cases under BusyBox alone")
)

// atOnce is how many cases are played at the same time. They sleep most of the time, because
// BusyBox does.
const atOnce = "16"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func loadScenes(t *testing.T) []*scene {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var scenes []*scene
	for _, path := range paths {
		s, err := loadScene(path)
		if err != nil {
			t.Fatal(err)
		}
		scenes = append(scenes, s)
	}
	return scenes
}

// TestSameAsBusyBox plays every case under both inits.
func TestSameAsBusyBox(t *testing.T) {
	pidns.Require(t)
	scenes := loadScenes(t)
	w, err := pidns.NewWorkshop(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := w.Base(w.BusyBox())
	if err != nil {
		t.Fatal(err)
	}
	var ours *pidns.Base
	if !*solo {
		program, err := w.BuildInit("")
		if err != nil {
			t.Fatal(err)
		}
		if ours, err = w.Base(program); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			compare(t, w, theirs, ours, s)
		})
	}
}

func compare(t *testing.T, w *pidns.Workshop, theirs, ours *pidns.Base, s *scene) {
	var wg sync.WaitGroup
	var a, b []string
	var errA, errB error
	dirA, dirB := t.TempDir(), t.TempDir()
	wg.Go(func() { a, errA = play(dirA, w, theirs, s) })
	if ours != nil {
		wg.Go(func() { b, errB = play(dirB, w, ours, s) })
	}
	wg.Wait()
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if *show {
		t.Logf("BusyBox:\n%s", strings.Join(a, "\n"))
		t.Logf("Rebound:\n%s", strings.Join(b, "\n"))
	}
	if ours == nil {
		return
	}
	got := ""
	if d := difference(a, b); len(d) > 0 {
		got = strings.Join(d, "\n") + "\n"
	}
	if *update && got != s.difference {
		if err := rewrite(filepath.Join("testdata", s.name+".txtar"), got); err != nil {
			t.Fatal(err)
		}
		return
	}
	switch {
	case got == s.difference:
	case s.difference == "":
		t.Errorf("%s\nBusyBox (-) and Rebound (+) differ:\n%s", s.title, got)
	default:
		t.Errorf("%s\ndifference between BusyBox (-) and Rebound (+):\n%swant only:\n%s", s.title,
			got, s.difference)
	}
}

// rewrite replaces the difference of a case.
func rewrite(path, difference string) error {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return err
	}
	var files []txtar.File
	for _, f := range archive.Files {
		if f.Name != differenceFile {
			files = append(files, f)
		}
	}
	if difference != "" {
		files = append(files, txtar.File{Name: differenceFile, Data: []byte(difference)})
	}
	archive.Files = files
	return os.WriteFile(path, txtar.Format(archive), 0o644)
}
