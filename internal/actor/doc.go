// Package actor is the language of the little program that does what its words say, one after the
// other:
//
//	actor say hello, sleep 2s, exit 3
//
// A comma at the end of a word ends a step. The words are those that an inittab can have without a
// shell: there are no quotes, no variables, and nothing needs a '#'. After the last step the actor
// exits with status 0. An actor that does not understand its words says which one, and exits with
// status 2 before it has done anything.
//
//	as NAME...            is called NAME from now on: at most 15 letters, and blanks
//	say WORD...           writes a line
//	sleep TIME            sleeps: 300ms, 2s, 1m30s
//	pause                 sleeps for ever
//	spin                  computes for ever
//	hang [killable] [TIME]  sleeps in D, where no signal reaches it, or only a deadly one
//	stop                  stops itself
//	exit [STATUS]         exits
//	die SIGNAL            ends by a signal
//	ignore SIGNAL...      ignores signals; "all" are all that can be ignored
//	default SIGNAL...     no longer ignores them
//	block SIGNAL...       blocks signals
//	unblock SIGNAL...     lets them through
//	catch SIGNAL          does the rest each time the signal comes, and pauses otherwise
//	fork [N]              does the rest in N children, and exits
//	beside [N]            does the rest in N children and itself
//	orphan [N]            does the rest in N orphans; waits for all its children, and pauses
//	loop [N]              does the rest N times, or for ever
//	exec PROGRAM WORD...  becomes another program
//	start PROGRAM WORD... executes a program in a child
//	run PROGRAM WORD...   the same, and waits for all children
//	wait                  waits for all children
//	kill TARGET SIGNAL    TARGET is a process number, a NAME, "all" or "group"
//	setsid, setpgid       makes a session, a process group of its own
//	subreaper             adopts its orphaned descendants
//	readline              takes a line from standard input, or exits at its end
//	write FILE WORD...    gives a file a new line for its text, or with no WORD none
//	append FILE WORD...   adds a line to a file
//	cat FILE              says the lines of a file
//	remove FILE           removes a file
//	env NAME              says NAME=VALUE
//	reboot COMMAND [ARG]  reboot(2): restart, restart ARG, halt, poweroff, cad-on, cad-off
//
// A signal is a name, TERM, or a number. The program that "exec", "start" or "run" execute has the
// words up to the next comma.
//
// This package reads the words and writes them; it knows no kernel. Package simactor plays the
// operations on the simulated kernel, package realactor on the running one.
package actor
