// Package pages says how much room to ask Go for, so that memory comes from the kernel page by page.
//
// A process is charged for a page when it first writes to it, and no sooner. Go's runtime takes what
// is larger than 32 KiB from the kernel as a block of its own, which at the start of a program is
// fresh: however long it is, only the pages that are used count. Anything smaller shares blocks with
// what else is of about its length, and the first of each of some seventy lengths costs some six
// kilobytes of the runtime's own books, for good.
//
// So where a length depends on how much there is in a file, a machine with a hundred services would
// pay for all the lengths that its arrays have or grow through, and one with four for others. With
// much room each pays for what it has.
package pages

// least is the number of bytes above which a block is one of its own (maxSmallSize of the runtime,
// internal/runtime/gc), in whole pages of the runtime.
const least = 40 << 10

// Room returns for how many elements of a size in bytes to make room, if n are needed.
func Room(n, size int) int { return max(n, least/size) }
