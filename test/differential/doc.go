// Package differential plays the same cases under Debian's BusyBox and under our init, each as
// PID 1 of a PID namespace, and compares everything seen from outside. It has tests only.
//
// These cases are no scenarios (docs/scenarios.md), for two reasons. A scenario knows one init, ours,
// and says what it must do; here BusyBox says it. And what is compared is mostly what no actor says on a
// console: arguments and environment, descriptors, signal masks, groups and terminals of what was
// started, as a probe reports them, and the log. Where both have the same case, as for a request
// in sysinit, this one holds it against BusyBox and the other one against the simulated kernel.
//
// # Cases
//
// A case is a txtar file in testdata. Its head says in comments what it shows, and then, a line
// each, what the world is like and what happens in it. "statement 2.14" names the statements of
// docs/busybox.md that it checks. The world:
//
//	console pty|pipe|null|none|broken|full   descriptors 0 to 2 of PID 1
//	argv WORD...                             PID 1's, by default "init"
//	env NAME=VALUE...                        besides HOME=/ and TERM=linux; noenv drops those
//	terminal NAME...                         pseudo-terminals at /dev/NAME
//	disturb NAME...                          gives a terminal odd settings before the start
//	replace PATH...                          puts the probe there
//	link PATH TARGET, dir PATH, socket PATH  special files
//	nonodes, noproc, nosyslog                leave out /dev/null and /dev/tty, /proc, /dev/log
//	stage VERB...                            further preparations, see test/pidns/programs/stage.c
//
// The steps, each of which but await, span and hurry begins when the room is at rest, that is, when none
// of its processes could run if it were given a processor:
//
//	await start NAME [COUNT]    a probe has reported, COUNT times
//	await ready NAME            a probe has come to its word ready
//	await note NAME TEXT        a probe has noted something
//	await log TEXT              further text in the log
//	await console|TERMINAL TEXT further text on a terminal
//	await gone NAME             the last probe of that name has ended and has been reaped
//	await end                   PID 1 has ended
//	signal SIG...               to PID 1; several are made to arrive in the same instant
//	kill NAME SIG               to the last probe of that name
//	stop, continue              PID 1, from outside
//	type TERMINAL TEXT          as if typed there
//	hangup TERMINAL             its line is cut
//	put PATH FILE               FILE is a part of the case marked later
//	remove PATH, touch PATH
//	exists PATH, termios NAME   put a fact into the transcript
//	mark                        start of a span
//	span LABEL DURATION         puts into the transcript whether the room was at rest for less
//	settle DURATION             lets happen what should not happen
//	hurry DURATION              has the case played again if that much has passed since the start,
//	                            where the messages depend on how old a process is by init's clock
//
// Text is taken as it stands, or is a Go string in double quotes. The archive's files are those
// of the room; after a name may stand x (executable), raw (backslash escapes), noeol (no newline
// at the end), later (not there at first).
//
// # Differences
//
// The transcripts must be equal. Where they are meant to differ the case says "differs NAME...",
// each a row of the table in docs/compatibility.md, and its part named difference holds exactly
// the lines that only BusyBox's transcript (-) or only ours (+) has. Run the test with -update to
// write that part, and then read it.
package differential
