package halt

import (
	"fmt"
	"strings"
)

// An option is one that a command knows, under a letter, a long name or both.
type option struct {
	letter byte   // 0 if it has none
	long   string // "" if it has none
	value  bool   // whether it takes one
	// set is called each time the option is met, with its value, or "" if it takes none. Its
	// error ends the parsing.
	set func(value string) error
}

// getopt reads arguments as getopt_long(3) does and BusyBox's users are used to: letters in one
// word (-nf), a value in the same word or the next (-d3, -d 3, --delay=3, --delay 3), options
// after operands, and "--" as the end of options. It returns the operands. Errors are worded as
// getopt_long words them [BusyBox 6.3].
//
// Long names cannot be shortened: a script that relied on it would break when an option is added.
func getopt(args []string, options []option) (operands []string, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(word, "--"):
			args, err = long(word, args, options)
		case len(word) > 1 && word[0] == '-':
			args, err = letters(word[1:], args, options)
		default:
			// A single dash is an operand, too.
			operands = append(operands, word)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// long handles a word that begins with two dashes, and returns the arguments left after it.
func long(word string, args []string, options []option) ([]string, error) {
	name, value, given := strings.Cut(word[2:], "=")
	for _, o := range options {
		if o.long == "" || o.long != name {
			continue
		}
		switch {
		case given && !o.value:
			return nil, fmt.Errorf("option '--%s' doesn't allow an argument", name)
		case o.value && !given && len(args) == 0:
			return nil, fmt.Errorf("option '--%s' requires an argument", name)
		case o.value && !given:
			value, args = args[0], args[1:]
		}
		return args, o.set(value)
	}
	return nil, fmt.Errorf("unrecognized option '--%s'", name)
}

// letters handles the letters of a word, and returns the arguments left after it.
func letters(word string, args []string, options []option) ([]string, error) {
	for word != "" {
		c := word[0]
		word = word[1:]
		i := 0
		for i < len(options) && (options[i].letter == 0 || options[i].letter != c) {
			i++
		}
		if i == len(options) {
			return nil, fmt.Errorf("invalid option -- '%c'", c)
		}
		value := ""
		if options[i].value {
			switch {
			case word != "":
				value, word = word, ""
			case len(args) > 0:
				value, args = args[0], args[1:]
			default:
				return nil, fmt.Errorf("option requires an argument -- '%c'", c)
			}
		}
		if err := options[i].set(value); err != nil {
			return nil, err
		}
	}
	return args, nil
}
