package pstore

// reedSolomon is a Reed-Solomon code over bytes as ramoops asks lib/reed_solomon for one: field
// polynomial 0x11d, roots from the zeroth power of 2 on, one for each byte of parity.
type reedSolomon struct {
	exp, log [256]int
	// generator are the logarithms of the generator polynomial's coefficients, the constant first.
	generator []int
	roots     int
}

const (
	fieldPoly = 0x11d
	fieldSize = 255 // elements besides zero
)

func newReedSolomon(roots int) *reedSolomon {
	c := &reedSolomon{roots: roots}
	for i, x := 0, 1; i < fieldSize; i++ {
		c.exp[i], c.log[x] = x, i
		if x <<= 1; x > 0xff {
			x ^= fieldPoly
		}
	}
	g := []int{1}
	for root := range roots {
		next := make([]int, len(g)+1)
		for i, a := range g {
			next[i+1] ^= a
			next[i] ^= c.mul(a, c.power(root))
		}
		g = next
	}
	for _, a := range g {
		c.generator = append(c.generator, c.log[a])
	}
	return c
}

func (c *reedSolomon) power(n int) int { return c.exp[n%fieldSize] }

func (c *reedSolomon) mul(a, b int) int {
	if a == 0 || b == 0 {
		return 0
	}
	return c.power(c.log[a] + c.log[b])
}

func (c *reedSolomon) div(a, b int) int {
	if a == 0 {
		return 0
	}
	return c.power(c.log[a] + fieldSize - c.log[b])
}

// encode computes the parity of data, at most 255 bytes less that parity.
func (c *reedSolomon) encode(data, parity []byte) {
	clear(parity)
	for _, b := range data {
		feedback := int(b ^ parity[0])
		copy(parity, parity[1:])
		parity[c.roots-1] = 0
		if feedback == 0 {
			continue
		}
		for i := range parity {
			parity[i] ^= byte(c.power(c.log[feedback] + c.generator[c.roots-1-i]))
		}
	}
}

// decode corrects data by its parity, which it leaves alone. It returns how many bytes of both were
// wrong; false if more were than it can correct, and then data is as it was.
func (c *reedSolomon) decode(data, parity []byte) (int, bool) {
	n := len(data) + len(parity)
	at := func(i int) int { // the symbol that is the coefficient of x^(n-1-i)
		if i < len(data) {
			return int(data[i])
		}
		return int(parity[i-len(data)])
	}
	syndromes, wrong := make([]int, c.roots), false
	for j := range syndromes {
		for i := range n {
			syndromes[j] = c.mul(syndromes[j], c.power(j)) ^ at(i)
		}
		wrong = wrong || syndromes[j] != 0
	}
	if !wrong {
		return 0, true
	}
	lambda := c.locator(syndromes)
	degree := len(lambda) - 1
	for degree > 0 && lambda[degree] == 0 {
		degree--
	}
	if degree == 0 || degree > c.roots/2 {
		return 0, false
	}
	type fix struct{ at, by int }
	var fixes []fix
	for p := range n { // p is the power of x whose coefficient may be wrong
		inverse := (fieldSize - p%fieldSize) % fieldSize
		if c.eval(lambda[:degree+1], inverse) != 0 {
			continue
		}
		fixes = append(fixes, fix{n - 1 - p, c.magnitude(syndromes, lambda[:degree+1], p)})
	}
	if len(fixes) != degree {
		return 0, false
	}
	for _, f := range fixes {
		if f.at < len(data) {
			data[f.at] ^= byte(f.by)
		}
	}
	return len(fixes), true
}

// locator is the polynomial whose roots say where the errors are, by Berlekamp and Massey.
func (c *reedSolomon) locator(syndromes []int) []int {
	size := c.roots + 1
	lambda, previous := make([]int, size), make([]int, size)
	lambda[0], previous[0] = 1, 1
	length, shift, last := 0, 1, 1
	for n, s := range syndromes {
		delta := s
		for i := 1; i <= length; i++ {
			delta ^= c.mul(lambda[i], syndromes[n-i])
		}
		if delta == 0 {
			shift++
			continue
		}
		saved := append([]int(nil), lambda...)
		factor := c.div(delta, last)
		for i := 0; i+shift < size; i++ {
			lambda[i+shift] ^= c.mul(factor, previous[i])
		}
		if 2*length > n {
			shift++
			continue
		}
		length, previous, last, shift = n+1-length, saved, delta, 1
	}
	return lambda
}

// eval is a polynomial's value at the given power of 2.
func (c *reedSolomon) eval(p []int, power int) int {
	sum := 0
	for i := len(p) - 1; i >= 0; i-- {
		sum = c.mul(sum, c.power(power)) ^ p[i]
	}
	return sum
}

// magnitude is by what the coefficient of x^p is wrong, after Forney.
func (c *reedSolomon) magnitude(syndromes, lambda []int, p int) int {
	inverse := (fieldSize - p%fieldSize) % fieldSize
	omega := make([]int, c.roots)
	for i := range omega {
		for j := 0; j <= i && j < len(lambda); j++ {
			omega[i] ^= c.mul(lambda[j], syndromes[i-j])
		}
	}
	derivative := 0
	for i := 1; i < len(lambda); i += 2 {
		derivative ^= c.mul(lambda[i], c.power(inverse*(i-1)))
	}
	if derivative == 0 {
		return 0
	}
	// The first root is the zeroth power, so the location itself is a factor.
	return c.mul(c.power(p), c.div(c.eval(omega, inverse), derivative))
}
