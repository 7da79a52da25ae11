package pstore

import (
	"encoding/binary"
	"fmt"
)

const (
	zoneSignature = 0x43474244 // "DBGC"
	zoneHeader    = 12         // signature, start and size
	eccBlock      = 128        // bytes that a parity stands for
)

// zone is a ring of bytes in persistent memory (fs/pstore/ram_core.c, struct persistent_ram_zone).
// Its first twelve bytes are a signature, where the ring starts and how much is in it. Parity, if
// there is any, stands behind the bytes: that of each block, then that of the header.
type zone struct {
	mem  []byte // all of it
	data []byte // the ring
	ecc  *reedSolomon
	// parity and headerParity are the ends of mem.
	parity, headerParity []byte

	old []byte // what was found
	// corrected and bad are what the parity has said of it: bytes and blocks.
	corrected, bad int
}

func (z *zone) start() int { return int(binary.LittleEndian.Uint32(z.mem[4:])) }
func (z *zone) size() int  { return int(binary.LittleEndian.Uint32(z.mem[8:])) }

func (z *zone) set(start, size int) {
	binary.LittleEndian.PutUint32(z.mem[4:], uint32(start))
	binary.LittleEndian.PutUint32(z.mem[8:], uint32(size))
}

// newZone takes memory over as the kernel does at boot: what stands in it is kept if its header
// makes sense, and thrown away if not. A zone that is for one boot only is emptied in any case, after
// its old contents have been put aside.
func newZone(mem []byte, mark uint32, ecc int, once bool) (*zone, []Line, error) {
	if len(mem) <= zoneHeader {
		return nil, nil, fmt.Errorf("pstore: a zone of %d bytes has no room behind its header", len(mem))
	}
	z := &zone{mem: mem, data: mem[zoneHeader:]}
	lines, err := z.initECC(ecc)
	if err != nil {
		return nil, lines, err
	}
	signature := zoneSignature ^ mark
	if binary.LittleEndian.Uint32(mem) != signature {
		binary.LittleEndian.PutUint32(mem, signature)
		z.zap()
		return z, lines, nil
	}
	start, size := z.start(), z.size()
	switch {
	case size == 0 && start == 0:
		return z, lines, nil
	case size > len(z.data) || start > size:
		lines = append(lines, Line{kernInfo, fmt.Sprintf(
			"ramoops: found existing invalid buffer, size %d, start %d", size, start)})
		once = true
	default:
		z.saveOld()
	}
	if once {
		z.zap()
	}
	return z, lines, nil
}

func (z *zone) initECC(size int) ([]Line, error) {
	if size == 0 {
		return nil, nil
	}
	blocks := (len(z.data) - size + eccBlock + size - 1) / (eccBlock + size)
	total := (blocks + 1) * size
	if size < 0 || eccBlock+size > fieldSize || total >= len(z.data) {
		said := fmt.Sprintf("ramoops: persistent_ram_init_ecc: invalid ecc_size %d (total %d, buffer size %d)",
			uint32(size), total, len(z.data))
		err := fmt.Errorf("pstore: %d bytes of parity do not fit into a zone of %d bytes", size, len(z.mem))
		return []Line{{kernErr, said}}, err
	}
	end := len(z.data) - total
	z.parity, z.headerParity = z.data[end:end+blocks*size], z.data[end+blocks*size:]
	z.data = z.data[:end:end]
	z.ecc = newReedSolomon(size)
	n, ok := z.ecc.decode(z.mem[:zoneHeader], z.headerParity)
	switch {
	case !ok:
		z.bad++
		return []Line{{kernInfo, "ramoops: uncorrectable error in header"}}, nil
	case n > 0:
		z.corrected += n
		return []Line{{kernInfo, fmt.Sprintf("ramoops: error in header, %d", n)}}, nil
	}
	return nil, nil
}

// zap empties the zone. The bytes stay where they are.
func (z *zone) zap() {
	z.set(0, 0)
	z.sealHeader()
}

func (z *zone) sealHeader() {
	if z.ecc != nil {
		z.ecc.encode(z.mem[:zoneHeader], z.headerParity)
	}
}

// block is the i-th block of the ring and its parity.
func (z *zone) block(i int) (data, parity []byte) {
	data = z.data[i*eccBlock : min((i+1)*eccBlock, len(z.data))]
	return data, z.parity[i*z.ecc.roots:][:z.ecc.roots]
}

// saveOld puts aside what stands in the zone, corrected as far as that goes.
func (z *zone) saveOld() {
	size, start := z.size(), z.start()
	if size == 0 || size > len(z.data) || start > size {
		return
	}
	if z.ecc != nil && z.old == nil {
		for i := 0; i*eccBlock < size; i++ {
			if n, ok := z.ecc.decode(z.block(i)); ok {
				z.corrected += n
			} else {
				z.bad++
			}
		}
	}
	z.old = append(append([]byte(nil), z.data[start:size]...), z.data[:start]...)
}

// write adds to the ring, over its oldest bytes if need be.
func (z *zone) write(p []byte) {
	if len(p) > len(z.data) {
		p = p[len(p)-len(z.data):]
	}
	start := z.start()
	if start >= len(z.data) {
		start = 0
	}
	z.set((start+len(p))%len(z.data), min(z.size()+len(p), len(z.data)))
	n := copy(z.data[start:], p)
	z.seal(start, n)
	copy(z.data, p[n:])
	z.seal(0, len(p)-n)
	z.sealHeader()
}

func (z *zone) seal(start, n int) {
	if z.ecc == nil || n == 0 {
		return
	}
	for i := start / eccBlock; i*eccBlock < start+n; i++ {
		z.ecc.encode(z.block(i))
	}
}

// notice is what stands at the end of a file that had parity.
func (z *zone) notice() string {
	switch {
	case z.ecc == nil:
		return ""
	case z.corrected != 0 || z.bad != 0:
		return fmt.Sprintf("\nECC: %d Corrected bytes, %d unrecoverable blocks\n", z.corrected, z.bad)
	}
	return "\nECC: No errors detected\n"
}
