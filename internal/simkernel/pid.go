package simkernel

import "math/bits"

// reservedPIDs is where the numbers begin again after the largest (kernel/pid.c, RESERVED_PIDS).
const reservedPIDs = 300

// pidMap gives out process numbers as alloc_pid does: always the next free one, from the
// beginning again after the largest. It has a bit for each number in use, and a bit for each full
// word of those, so that looking for a free one among a million takes few steps.
type pidMap struct {
	max  int // kernel.pid_max: the first number that is not given out
	last int
	used []uint64
	full []uint64
}

// alloc returns a free number, or 0.
func (m *pidMap) alloc() int {
	from := m.last + 1
	low := 1
	if from > reservedPIDs {
		low = reservedPIDs
	}
	n := m.free(from, m.max)
	if n == 0 {
		n = m.free(low, from)
	}
	if n == 0 {
		return 0
	}
	m.last = n
	w := n / 64
	for len(m.used) <= w {
		m.used = append(m.used, 0)
	}
	for len(m.full) <= w/64 {
		m.full = append(m.full, 0)
	}
	m.used[w] |= 1 << (n % 64)
	if m.used[w] == ^uint64(0) {
		m.full[w/64] |= 1 << (w % 64)
	}
	return n
}

// free returns the first free number of [from, to), or 0.
func (m *pidMap) free(from, to int) int {
	for n := from; n < to; {
		w := n / 64
		if w >= len(m.used) {
			return n
		}
		if open := ^m.used[w] >> (n % 64); open != 0 {
			n += bits.TrailingZeros64(open)
			if n >= to {
				return 0
			}
			return n
		}
		w = m.notFull(w + 1)
		n = w * 64
	}
	return 0
}

// notFull returns the first word from w on that is not full.
func (m *pidMap) notFull(w int) int {
	for w/64 < len(m.full) {
		if open := ^m.full[w/64] >> (w % 64); open != 0 {
			return w + bits.TrailingZeros64(open)
		}
		w = (w/64 + 1) * 64
	}
	return w
}

// release gives a number back.
func (m *pidMap) release(n int) {
	w := n / 64
	m.used[w] &^= 1 << (n % 64)
	m.full[w/64] &^= 1 << (w % 64)
}
