package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/crash/matrix"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// htmlOf is the page of a machine.
func htmlOf(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	status, out, err := panicctl(t, append([]string{"matrix", "-html", path}, args...)...)
	wants(t, status, exitOK, out+err, path+": Of ")
	text, e := os.ReadFile(path)
	if e != nil {
		t.Fatal(e)
	}
	return string(text)
}

func TestPageShowsEveryFailure(t *testing.T) {
	page := htmlOf(t, "-kernel", "linux-6.1-x86_64", "-policy", "capture", "-crash-kernel", "-cpus", "2")
	o := machineFlags{kernel: "linux-6.1-x86_64", policy: "capture", crashKernel: true, cpus: 2}
	m, err := o.machine()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := matrix.Of(m.Machine)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		r := &rows[i]
		id := fmt.Sprintf(`<details class="is-%s" id="%s">`, classOf(r.Outcome), r.Failure)
		if strings.Count(page, id) != 1 {
			t.Errorf("%s: got %d times, want once: %s", r.Failure, strings.Count(page, id), id)
		}
	}
	if got := strings.Count(page, "<details "); got != len(rows) {
		t.Errorf("failures: got %d, want %d", got, len(rows))
	}
	for _, want := range []string{"<code>kernel.panic=30</code>", "captured by the crash kernel", "/proc/vmcore"} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q", want)
		}
	}
}

// TestPageIsSelfContained: it loads nothing, runs nothing, and no value has been refused by the template.
func TestPageIsSelfContained(t *testing.T) {
	for _, kernel := range simkernel.Kernels() {
		page := strings.ToLower(htmlOf(t, "-kernel", kernel, "-set", "panic=5"))
		for _, bad := range []string{
			"http:", "https:", "<script", "src=", "@import", "<link", "zgotmplz", "javascript", "nan%", "+inf",
		} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %q in it", kernel, bad)
			}
		}
		for _, tag := range []string{"details", "svg", "section", "table", "g", "div"} {
			opened := len(regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(page, -1))
			if closed := strings.Count(page, "</"+tag+">"); opened != closed {
				t.Errorf("%s: <%s> is opened %d times and closed %d times", kernel, tag, opened, closed)
			}
		}
	}
}

// TestBarsStayOnTheAxis: whatever the times are.
func TestBarsStayOnTheAxis(t *testing.T) {
	bar := regexp.MustCompile(`<rect class="p-[a-z]+" x="([-0-9.e]+)%" width="([-0-9.e]+)%"`)
	for _, args := range []string{
		"-set panic=1", "-set panic=86400", "-set panic=2147483", "-watchdog i6300esb,2000", "-policy capture",
	} {
		page := htmlOf(t, append([]string{"-kernel", "linux-6.1-x86_64"}, strings.Fields(args)...)...)
		all := bar.FindAllStringSubmatch(page, -1)
		const least = 40
		if len(all) < least {
			t.Errorf("%s: got %d bars, want %d at least", args, len(all), least)
		}
		for _, m := range all {
			x, _ := strconv.ParseFloat(m[1], 64)
			w, _ := strconv.ParseFloat(m[2], 64)
			if x < axisFrom || w <= 0 || x+w > forEver+0.01 {
				t.Errorf("%s: bar from %v%%, %v%% wide", args, x, w)
			}
		}
	}
}

func TestPageThatCannotBeWritten(t *testing.T) {
	status, _, err := panicctl(t, "matrix", "-kernel", "linux-6.1-x86_64", "-html", t.TempDir()+"/no/page.html")
	wants(t, status, exitDenied, err, "panicctl: matrix: open ", "no such file or directory\n")
	status, out, _ := panicctl(t, "matrix", "-kernel", "linux-6.1-x86_64", "-html", "-")
	wants(t, status, exitOK, out, "<!doctype html>", "</html>")
}
