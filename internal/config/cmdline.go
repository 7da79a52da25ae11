package config

import "strings"

// A Param is one word of the kernel command line.
type Param struct {
	Name     string
	Value    string // without the quotes around it
	HasValue bool   // there is a =, though perhaps nothing behind it
}

// CommandLine splits the text of /proc/cmdline into words as the kernel does
// [lib/cmdline.c, next_arg]. Words behind a lone -- are arguments for init and no longer
// parameters of the kernel; they are returned apart.
//
// Double quotes keep blanks in a word. They are dropped where they enclose the whole word or
// the whole value, and kept in any other place. There is no escape for them.
func CommandLine(text string) (params, arguments []Param) {
	dashes := false
	for {
		word, rest := cutWord(text)
		if word == "" && rest == "" {
			return params, arguments
		}
		text = rest
		p := param(word)
		switch {
		case word == "":
		case dashes:
			arguments = append(arguments, p)
		case p.Name == "--" && !p.HasValue:
			dashes = true
		default:
			params = append(params, p)
		}
	}
}

// cutWord cuts text at the first blank outside quotes. The word is empty where text begins
// with a blank.
func cutWord(text string) (word, rest string) {
	quoted := false
	for i := range len(text) {
		if text[i] == '"' {
			quoted = !quoted
		}
		if !quoted && kernelSpace(text[i]) {
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// param cuts a word at its = and drops the quotes. A = as the first character does not count.
func param(word string) Param {
	bare, quoted := strings.CutPrefix(word, `"`)
	p := Param{Name: bare}
	end := &p.Name
	if i := strings.IndexByte(bare[min(1, len(bare)):], '='); i >= 0 {
		p = Param{Name: bare[:i+1], Value: bare[i+2:], HasValue: true}
		end = &p.Value
	}
	if strings.HasPrefix(p.Value, `"`) {
		p.Value = p.Value[1:]
		quoted = true
	}
	if quoted {
		*end = strings.TrimSuffix(*end, `"`)
	}
	return p
}

// kernelSpace reports whether the kernel takes a byte for a blank [lib/ctype.c]. It reads the
// command line as Latin-1, where 0xa0 is a blank that does not break.
func kernelSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r' || c == 0xa0
}
