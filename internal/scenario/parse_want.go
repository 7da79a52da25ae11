package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// want EXPECTATION.
func (p *parser) want(ts *tokens) error {
	var text []string
	for _, t := range ts.all {
		if t.quoted {
			t.text = strconv.Quote(t.text)
		}
		text = append(text, t.text)
	}
	word, err := ts.word("what is expected: " + list(keys(expectations())))
	if err != nil {
		return err
	}
	read := expectations()[word]
	if read == nil {
		return unknown("thing that can be expected", word, keys(expectations()))
	}
	is, err := read(p, ts)
	if err != nil {
		return err
	}
	p.s.Wants = append(p.s.Wants,
		Want{Line: p.line, Text: "want " + strings.Join(text, " "), Is: is})
	return nil
}

// expectations are the words for what can be expected.
func expectations() map[string]func(*parser, *tokens) (Expectation, error) {
	return map[string]func(*parser, *tokens) (Expectation, error){
		"end":    (*parser).wantEnd,
		"down":   (*parser).wantDown,
		"order":  (*parser).wantOrder,
		"line":   (*parser).wantLine,
		"span":   (*parser).wantSpan,
		"no":     (*parser).wantNo,
		"count":  (*parser).wantCount,
		"file":   (*parser).wantFile,
		"then":   (*parser).wantThen,
		"kernel": (*parser).wantKernel,
		"parent": (*parser).wantParent,
	}
}

// maxStatus is the greatest exit status.
const maxStatus = 255

func (p *parser) wantEnd(ts *tokens) (Expectation, error) {
	known := howWords[1:]
	i, err := oneOf(ts, "way to end", known)
	if err != nil {
		return nil, err
	}
	w := WantEnd{How: How(i + 1)}
	if w.How == Exit {
		w.Status, err = ts.number("an exit status", maxStatus)
	}
	return w, err
}

// timeBound takes OPERATOR TIME.
func timeBound(ts *tokens) (Bound, error) {
	op, err := ts.operator()
	if err != nil {
		return Bound{}, err
	}
	if op == "=" {
		return Bound{}, errors.New("=: times can be bounded only: expected <, <=, >= or >")
	}
	d, err := ts.span()
	return Bound{op, int64(d)}, err
}

func (p *parser) wantDown(ts *tokens) (Expectation, error) {
	b, err := timeBound(ts)
	return WantDown{b}, err
}

func (p *parser) wantOrder(ts *tokens) (Expectation, error) {
	var w WantOrder
	for {
		line, err := ts.text("a line")
		if err != nil {
			return nil, err
		}
		w.Lines = append(w.Lines, line)
		switch {
		case ts.is("<"):
		case len(w.Lines) < 2:
			return nil, errors.New(`the order of one line: expected "LINE" < "LINE"`)
		default:
			return w, nil
		}
	}
}

func (p *parser) wantLine(ts *tokens) (Expectation, error) {
	line, err := ts.text("a line")
	if err != nil {
		return nil, err
	}
	if !ts.more() {
		return WantCount{line, Bound{">=", 1}}, nil
	}
	b, err := timeBound(ts)
	return WantLine{line, b}, err
}

func (p *parser) wantSpan(ts *tokens) (Expectation, error) {
	var w WantSpan
	var err error
	if w.From, err = ts.text("a line"); err != nil {
		return nil, err
	}
	if w.To, err = ts.text("a line"); err != nil {
		return nil, err
	}
	w.Bound, err = timeBound(ts)
	return w, err
}

// then HOW [OPERATOR TIME].
func (p *parser) wantThen(ts *tokens) (Expectation, error) {
	i, err := oneOf(ts, "thing that becomes of a machine", thenWords[1:])
	w := WantThen{Then: Then(i + 1)}
	if err == nil && ts.more() {
		w.Bound, err = timeBound(ts)
	}
	return w, err
}

// kernel "TEXT".
func (p *parser) wantKernel(ts *tokens) (Expectation, error) {
	text, err := ts.text("a part of a line of the kernel")
	if err == nil && text == "" {
		err = errors.New(`"": expected a part of a line of the kernel`)
	}
	return WantKernel{Text: text}, err
}

// no "LINE", no file PATH, or no kernel "TEXT".
func (p *parser) wantNo(ts *tokens) (Expectation, error) {
	if ts.is("kernel") {
		w, err := p.wantKernel(ts)
		if k, ok := w.(WantKernel); ok {
			w = WantKernel{Text: k.Text, Absent: true}
		}
		return w, err
	}
	if ts.is("file") {
		name, err := ts.word("a path")
		return WantFile{Path: absolute(name), Absent: true}, err
	}
	line, err := ts.text("a line")
	return WantCount{line, Bound{"=", 0}}, err
}

// count "LINE" [OPERATOR] N.
func (p *parser) wantCount(ts *tokens) (Expectation, error) {
	line, err := ts.text("a line")
	if err != nil {
		return nil, err
	}
	op := "="
	if len(ts.all) > 1 {
		if op, err = ts.operator(); err != nil {
			return nil, err
		}
	}
	const most = 1 << 30
	n, err := ts.number("how often it must stand there", most)
	return WantCount{line, Bound{op, int64(n)}}, err
}

func (p *parser) wantFile(ts *tokens) (Expectation, error) {
	name, err := ts.word("a path")
	if err != nil {
		return nil, err
	}
	text, err := p.textOrSection(ts)
	return WantFile{Path: absolute(name), Text: text}, err
}

// parent SIGNAME, or exit N.
func (p *parser) wantParent(ts *tokens) (Expectation, error) {
	if ts.is("exit") {
		n, err := ts.number("an exit status", maxStatus)
		return WantParent{fmt.Sprintf("exit %d", n)}, err
	}
	sig, err := signal(ts)
	return WantParent{"SIG" + kernel.SignalName(sig)}, err
}
