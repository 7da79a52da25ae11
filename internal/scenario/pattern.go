package scenario

// Pattern is what must stand on a terminal: the whole of it, part by part.
type Pattern struct {
	Line  int // of the section's first line in the scenario
	Parts []Part
}

// Part is a stretch of a Pattern.
type Part struct {
	Line int // in the scenario
	// Lines stand there one after another, or in any order if AnyOrder says so.
	Lines    []string
	AnyOrder bool
	// Anything is any number of any lines.
	Anything bool
}
