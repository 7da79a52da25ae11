//go:build race

package linux

const raced = true
