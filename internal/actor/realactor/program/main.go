// Program is the actor as a program of its own, for tests.
package main

import (
	"os"

	"github.com/rebound-init/rebound/internal/actor/realactor"
)

func main() { os.Exit(realactor.Main(os.Args)) }
