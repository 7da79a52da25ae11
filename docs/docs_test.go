// Package docs has no code. Its tests hold the documents against the code and the Makefile.
package docs

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/halt"
	"github.com/rebound-init/rebound/internal/inittab"
)

// root is where the repository begins.
const root = ".."

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// texts calls f for every text file of the repository that is no product of it.
func texts(t *testing.T, f func(name, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || path == filepath.Join(root, "build")):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.IndexByte(b, 0) < 0 {
			name, _ := filepath.Rel(root, path)
			f(name, string(b))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// statements are the numbers of docs/busybox.md, or of another page with numbered statements.
func statements(t *testing.T, page string, least int) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	item := regexp.MustCompile(`(?m)^- \*\*(\d+\.\d+)\*\* \S`)
	for _, m := range item.FindAllStringSubmatch(read(t, page), -1) {
		if known[m[1]] {
			t.Errorf("%s has %s twice", page, m[1])
		}
		known[m[1]] = true
	}
	if len(known) < least {
		t.Fatalf("%s has %d statements, want at least %d", page, len(known), least)
	}
	return known
}

// cited returns the numbers in the brackets of a citation, whatever words are between them: "2.14",
// "1.1, 6.1", "2.22 to 2.28". A range stands for all its numbers. It reports false for a range that
// is none.
func cited(text string) (numbers []string, ok bool) {
	number := regexp.MustCompile(`(\d+)\.(\d+)(?: to (\d+)\.(\d+))?`)
	for _, m := range number.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[2])
		last := first
		if m[4] != "" {
			last, _ = strconv.Atoi(m[4])
		}
		if m[3] != "" && m[3] != m[1] || last < first {
			return nil, false
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, m[1]+"."+strconv.Itoa(n))
		}
	}
	return numbers, true
}

func TestCitedReadsListsAndRanges(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"2.14", []string{"2.14"}},
		{"1.1, 6.1", []string{"1.1", "6.1"}},
		{"2.9 to 2.11, 3.1", []string{"2.9", "2.10", "2.11", "3.1"}},
		{"2.9 to 3.1", nil},
		{"2.9 to 2.8", nil},
		{"2.9 and 2.10, but not so soon", []string{"2.9", "2.10"}},
	} {
		got, ok := cited(c.text)
		if d := cmp.Diff(c.want, got); d != "" || ok != (c.want != nil) {
			t.Errorf("%q: got %q, %v, want %q", c.text, got, ok, c.want)
		}
	}
}

// TestEveryCitedStatementIsThere looks at the citations everywhere, and at the statements that the
// cases of test/differential and the rows of docs/compatibility.md name.
func TestEveryCitedStatementIsThere(t *testing.T) {
	known := statements(t, "docs/busybox.md", 100)
	// A citation may go on behind the comment sign of the next line.
	comment := regexp.MustCompile(`\n[ \t]*(//|#)?[ \t]*`)
	citation := regexp.MustCompile(`\[BusyBox (\d[^\]]*)\]`)
	header := regexp.MustCompile(`(?m)^statement (.*)$`)
	number := regexp.MustCompile(`\b\d+\.\d+\b`)
	count := 0
	texts(t, func(name, text string) {
		check := func(numbers []string) {
			for _, n := range numbers {
				count++
				if !known[n] {
					t.Errorf("%s cites %s, which is not in docs/busybox.md", name, n)
				}
			}
		}
		joined := comment.ReplaceAllString(text, " ")
		for _, m := range citation.FindAllStringSubmatch(joined, -1) {
			numbers, ok := cited(m[1])
			if !ok {
				t.Errorf("%s: %s: expected a range within a section", name, m[0])
			}
			check(numbers)
		}
		if strings.HasSuffix(name, ".txtar") {
			for _, m := range header.FindAllStringSubmatch(text, -1) {
				check(strings.Fields(m[1]))
			}
		}
		if name == "docs/compatibility.md" {
			const statementColumn = 5
			for line := range strings.Lines(text) {
				if cells := strings.Split(line, "|"); len(cells) > statementColumn {
					check(number.FindAllString(cells[statementColumn], -1))
				}
			}
		}
	})
	if count < 100 {
		t.Errorf("%d citations, want at least 100: are they found?", count)
	}
}

// TestEveryCitedKernelStatementIsThere looks at the citations of docs/kernel.md.
func TestEveryCitedKernelStatementIsThere(t *testing.T) {
	known := statements(t, "docs/kernel.md", 70)
	comment := regexp.MustCompile(`\n[ \t]*(//|#)?[ \t]*`)
	citation := regexp.MustCompile(`\[Kernel (\d[^\]]*)\]`)
	count := 0
	texts(t, func(name, text string) {
		for _, m := range citation.FindAllStringSubmatch(comment.ReplaceAllString(text, " "), -1) {
			numbers, ok := cited(m[1])
			if !ok {
				t.Errorf("%s: %s: expected a range within a section", name, m[0])
			}
			for _, n := range numbers {
				count++
				if !known[n] {
					t.Errorf("%s cites %s, which is not in docs/kernel.md", name, n)
				}
			}
		}
	})
	if count < 10 {
		t.Errorf("%d citations, want at least 10: are they found?", count)
	}
}

// pages are the Markdown documents.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"README.md": read(t, "README.md")}
	names, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		found["docs/"+name] = read(t, "docs/"+name)
	}
	return found
}

// split parts a Markdown page into what is code, a piece a line, and everything else.
func split(text string) (code []string, prose string) {
	span := regexp.MustCompile("`+[^`]+`+")
	var rest strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced:
			code = append(code, strings.TrimSpace(line))
		default:
			for _, s := range span.FindAllString(line, -1) {
				code = append(code, strings.Trim(s, "`"))
			}
			rest.WriteString(span.ReplaceAllString(line, ""))
		}
	}
	return code, rest.String()
}

// TestMakeTargetsExist holds the make commands of the pages against the Makefile.
func TestMakeTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	targets := make(map[string]bool)
	rule := regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	for _, m := range rule.FindAllStringSubmatch(makefile, -1) {
		targets[m[1]] = true
	}
	call := regexp.MustCompile(
		`^[$#]? *make((?: +[A-Za-z_]+=\S*)*)(?: +([a-z][a-z-]*))?((?: +[A-Z]+=\S*)*)`)
	variable := regexp.MustCompile(`([A-Za-z_]+)=`)
	count := 0
	for name, text := range pages(t) {
		code, _ := split(text)
		for _, line := range code {
			m := call.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			count++
			if m[2] != "" && !targets[m[2]] {
				t.Errorf("%s: %q: the Makefile has no target %q", name, line, m[2])
			}
			for _, v := range variable.FindAllStringSubmatch(m[1]+m[3], -1) {
				if !strings.Contains(makefile, "$("+v[1]+")") {
					t.Errorf("%s: %q: the Makefile has no variable %q", name, line, v[1])
				}
			}
		}
	}
	if count == 0 {
		t.Error("no page has a make command: are they found?")
	}
}

// TestLinksLeadSomewhere follows the links from page to page, with their anchors.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s#]*)(?:#([^)\s]*))?\)`)
	for name, text := range pages(t) {
		_, prose := split(text)
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %s: %v", name, m[0], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2]) {
				t.Errorf("%s: %s: %s has no such heading", name, m[0], target)
			}
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) []string {
	var found []string
	heading := regexp.MustCompile(`(?m)^#+ +(.*)$`)
	dropped := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		found = append(found, strings.ReplaceAll(slug, " ", "-"))
	}
	return found
}

// TestImportsAreAsDrawn compares the list of imports in architecture.md with the code.
func TestImportsAreAsDrawn(t *testing.T) {
	block := regexp.MustCompile("(?s)\n```imports\n(.*?)\n```\n")
	m := block.FindStringSubmatch(read(t, "docs/architecture.md"))
	if m == nil {
		t.Fatal("docs/architecture.md has no block of imports")
	}
	drawn := strings.Split(regexp.MustCompile(` +-> `).ReplaceAllString(m[1], " -> "), "\n")

	const module = "github.com/rebound-init/rebound/"
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} ->{{range .Imports}} {{.}}{{end}}`,
		"./cmd/...", "./internal/...")
	list.Dir = root
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	short := func(path string) string {
		return strings.TrimPrefix(strings.TrimPrefix(path, module), "internal/")
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := short(words[0])
		if strings.HasSuffix(name, "test") || name == "kernel/contract" {
			continue // These are for tests, and may import what they test.
		}
		arrows := name + " ->"
		for _, path := range words[2:] {
			if strings.HasPrefix(path, module) {
				arrows += " " + short(path)
			}
		}
		if arrows != name+" ->" {
			found = append(found, arrows)
		}
	}
	if d := cmp.Diff(drawn, found); d != "" {
		t.Errorf("docs/architecture.md (-) and the code (+):\n%s", d)
	}
}

// manuals are the manual pages by name.
func manuals(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("man/*.[1-9]")
	if err != nil || len(names) == 0 {
		t.Fatalf("no manual pages: %v", err)
	}
	return names
}

func TestManualPagesAreSoundMdoc(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("REBOUND_REQUIRE"), ","), "mandoc") {
			t.Fatal("REBOUND_REQUIRE asks for this test, which needs mandoc")
		}
		t.Skip("needs mandoc")
	}
	for _, name := range manuals(t) {
		out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", name).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// items returns the text of each item of a manual page whose tag matches, by the tag's submatch.
// An item ends at the next one, or where the list does.
func items(page string, tag *regexp.Regexp) map[string]string {
	found := make(map[string]string)
	name := ""
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, ".It") || strings.HasPrefix(line, ".El") {
			name = ""
			if m := tag.FindStringSubmatch(line); m != nil {
				name = m[1]
				found[name] = ""
			}
			continue
		}
		if name != "" {
			found[name] += strings.TrimLeft(line, ".CmIc ")
		}
	}
	return found
}

// TestEveryKeyIsInItsManual holds rebound.conf(5) against the table of keys.
func TestEveryKeyIsInItsManual(t *testing.T) {
	documented := items(read(t, "docs/man/rebound.conf.5"), regexp.MustCompile(`(?m)^\.It Ic (\S+)$`))
	span := regexp.MustCompile(`from \S+ to \S+`)
	for _, key := range config.Keys() {
		text, ok := documented[key.Name]
		if !ok {
			t.Errorf("rebound.conf(5) has no key %s", key.Name)
			continue
		}
		delete(documented, key.Name)
		if limits := span.FindString(key.Takes()); !strings.Contains(text, limits) {
			t.Errorf("rebound.conf(5): %s: it takes %s; got\n%s", key.Name, key.Takes(), text)
		}
		// "default 5s" or, of a word, "WORD , \n the default".
		def := regexp.QuoteMeta(key.Default())
		says := regexp.MustCompile(`default ` + def + `\b|(?m)^` + def + ` ,\nthe default`)
		if !says.MatchString(text) {
			t.Errorf("rebound.conf(5): %s: the default is %s; got\n%s", key.Name, key.Default(), text)
		}
	}
	for name := range documented {
		t.Errorf("rebound.conf(5) has a key %s, which init does not know", name)
	}
}

// TestEveryOptionIsInItsManual holds reboot(8) against the commands' own help.
func TestEveryOptionIsInItsManual(t *testing.T) {
	var help bytes.Buffer
	if halt.Main([]string{"reboot", "--help"}, "", &help, &help) != 0 {
		t.Fatalf("reboot --help fails:\n%s", &help)
	}
	collect := func(text string, line, option *regexp.Regexp) []string {
		var found []string
		for _, l := range line.FindAllString(text, -1) {
			for _, m := range option.FindAllStringSubmatch(l, -1) {
				found = append(found, m[1])
			}
		}
		slices.Sort(found)
		return found
	}
	want := collect(help.String(),
		regexp.MustCompile(`(?m)^ +-.*?(  |$)`), regexp.MustCompile(`-([a-z]\b[a-z-]*|[a-z][a-z-]+)`))
	got := collect(read(t, "docs/man/reboot.8"),
		regexp.MustCompile(`(?m)^\.It Fl .*$`), regexp.MustCompile(`Fl ([a-z][a-z-]*)`))
	if len(want) < 5 {
		t.Fatalf("got the options %q of\n%s", want, &help)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("options of reboot --help (-) and reboot(8) (+):\n%s", d)
	}
}

// TestEveryActionIsInItsManual holds inittab(5) against the actions that init knows.
func TestEveryActionIsInItsManual(t *testing.T) {
	documented := items(read(t, "docs/man/inittab.5"), regexp.MustCompile(`(?m)^\.It Cm (\S+)$`))
	for _, a := range inittab.Actions() {
		if _, ok := documented[a.String()]; !ok {
			t.Errorf("inittab(5) has no action %v", a)
		}
		delete(documented, a.String())
	}
	for name := range documented {
		t.Errorf("inittab(5) has an action %s, which init does not know", name)
	}
}

// examples are the literal displays of a manual page, by the section they stand in.
func examples(page string) map[string][]string {
	found := make(map[string][]string)
	section, inside := "", false
	var text strings.Builder
	unescape := strings.NewReplacer(`\(ga`, "`", `\(ha`, "^", `\(dq`, `"`, `\(aq`, "'", `\e`, `\`)
	for line := range strings.Lines(page) {
		name, isSection := strings.CutPrefix(line, ".Sh ")
		switch {
		case isSection:
			section = strings.TrimSpace(name)
		case strings.HasPrefix(line, ".Bd -literal"):
			inside = true
			text.Reset()
		case strings.HasPrefix(line, ".Ed"):
			inside = false
			found[section] = append(found[section], text.String())
		case inside:
			text.WriteString(unescape.Replace(line))
		}
	}
	return found
}

// TestExamplesOfInittabAreRead reads the displays of inittab(5) as init would.
func TestExamplesOfInittabAreRead(t *testing.T) {
	shown := examples(read(t, "docs/man/inittab.5"))
	one := func(section string) string {
		if len(shown[section]) != 1 {
			t.Fatalf("inittab(5), %s: %d displays, want 1", section, len(shown[section]))
		}
		return shown[section][0]
	}

	table, found := inittab.Parse("EXAMPLES", []byte(one("EXAMPLES")))
	for _, d := range found {
		if d.Severity != inittab.Note {
			t.Errorf("inittab(5): %v", d)
		}
	}
	used := make(map[inittab.Action]bool)
	for _, e := range table {
		used[e.Action] = true
	}
	if len(used) < 6 {
		t.Errorf("inittab(5): the example uses %d actions, want at least 6", len(used))
	}

	table, found = inittab.Parse("THE SAME ENTRY TWICE", []byte(one("THE SAME ENTRY TWICE")))
	if len(table) != 1 || len(found) == 0 || found[0].Severity != inittab.Trap {
		t.Errorf("inittab(5): the trap of equal entries is none: %v, %v", table, found)
	}

	table, _ = inittab.Parse("NO INITTAB", []byte(one("NO INITTAB")))
	for i := range table {
		table[i].FirstLine, table[i].Line = 0, 0
	}
	if d := cmp.Diff(inittab.BuiltIn(), table); d != "" {
		t.Errorf("built-in table (-) and inittab(5) (+):\n%s", d)
	}

	want, got := "", one("COMMANDS")
	for c := byte('!'); c <= '~'; c++ {
		if inittab.Words("a" + string(c) + "b").Shell {
			want += string(c)
		}
	}
	sorted := slices.Sorted(slices.Values(strings.Fields(got)))
	if strings.Join(sorted, "") != want {
		t.Errorf("characters for the shell:\ngot  %s\nwant %s", strings.Join(sorted, ""), want)
	}
}

// TestExampleOfReboundConfIsRead reads the display of rebound.conf(5) as init would.
func TestExampleOfReboundConfIsRead(t *testing.T) {
	shown := examples(read(t, "docs/man/rebound.conf.5"))["EXAMPLES"]
	if len(shown) != 1 {
		t.Fatalf("rebound.conf(5): %d examples, want 1", len(shown))
	}
	set, problems := config.Load("EXAMPLES", []byte(shown[0]), nil)
	for _, p := range problems {
		t.Errorf("rebound.conf(5): %v", p)
	}
	if set == config.Default() {
		t.Error("rebound.conf(5): the example changes nothing")
	}
}
