package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// token is a word of a line, or a text in double quotes.
type token struct {
	text   string // unquoted
	quoted bool
}

// tokens are what is left of a line to read.
type tokens struct {
	all []token
}

// tokenize splits a line at blanks. What is in double quotes is a string of Go.
func tokenize(line string) (*tokens, error) {
	ts := &tokens{}
	for {
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" {
			return ts, nil
		}
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("%s: expected a text in double quotes, "+
					"with \\n, \\t, \\\" and \\\\ as in Go", line)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", quoted, err)
			}
			ts.all = append(ts.all, token{text, true})
			line = line[len(quoted):]
			if r, _ := utf8.DecodeRuneInString(line); line != "" && !unicode.IsSpace(r) {
				return nil, fmt.Errorf("%s%s: expected a blank after the quotes", quoted, line)
			}
			continue
		}
		end := strings.IndexFunc(line, unicode.IsSpace)
		if end < 0 {
			end = len(line)
		}
		ts.all = append(ts.all, token{text: line[:end]})
		line = line[end:]
	}
}

// more reports whether there is something left.
func (ts *tokens) more() bool { return len(ts.all) > 0 }

// next takes a token, which may be of either kind.
func (ts *tokens) next() (token, bool) {
	if !ts.more() {
		return token{}, false
	}
	t := ts.all[0]
	ts.all = ts.all[1:]
	return t, true
}

// is takes the next token if it is this word.
func (ts *tokens) is(word string) bool {
	if ts.more() && !ts.all[0].quoted && ts.all[0].text == word {
		ts.all = ts.all[1:]
		return true
	}
	return false
}

// word takes a word.
func (ts *tokens) word(what string) (string, error) {
	t, ok := ts.next()
	switch {
	case !ok:
		return "", fmt.Errorf("the line ends: expected %s", what)
	case t.quoted:
		return "", fmt.Errorf("%q: expected %s, without quotes", t.text, what)
	}
	return t.text, nil
}

// text takes a text in quotes.
func (ts *tokens) text(what string) (string, error) {
	t, ok := ts.next()
	switch {
	case !ok:
		return "", fmt.Errorf("the line ends: expected %s in double quotes", what)
	case !t.quoted:
		return "", fmt.Errorf("%s: expected %s in double quotes", t.text, what)
	}
	return t.text, nil
}

// words takes all that is left, quoted or not.
func (ts *tokens) words() []string {
	var words []string
	for _, t := range ts.all {
		words = append(words, t.text)
	}
	ts.all = nil
	return words
}

// end says that nothing more was expected, if there is something.
func (ts *tokens) end() error {
	if ts.more() {
		return fmt.Errorf("%q: expected the end of the line", ts.all[0].text)
	}
	return nil
}

// longest is the longest time that a scenario may name. It is far above every limit of init.
const longest = 24 * time.Hour

// span takes a length of time.
func (ts *tokens) span() (time.Duration, error) {
	w, err := ts.word("a time such as 2s or 300ms")
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(w)
	if err != nil || d < 0 || d > longest {
		return 0, fmt.Errorf("%q is no time: expected one such as 2s, 300ms or 1m30s, at most %s",
			w, longest)
	}
	return d, nil
}

// number takes a number that is not negative.
func (ts *tokens) number(what string, most int) (int, error) {
	w, err := ts.word(what)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(w)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q: expected %s, from 0 to %d", w, what, most)
	}
	return n, nil
}

// operators are the ways to compare.
var operators = []string{"<", "<=", "=", ">=", ">"}

// operator takes a way to compare.
func (ts *tokens) operator() (string, error) {
	w, err := ts.word(list(operators))
	if err != nil {
		return "", err
	}
	for _, op := range operators {
		if w == op {
			return op, nil
		}
	}
	return "", fmt.Errorf("%q: expected %s, with blanks around it", w, list(operators))
}
