package pid1_test
import ("testing";"time"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)
func TestScratch(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: `
		::sysinit:actor say hello
		::respawn:actor pause
		::respawn:actor say flop
		::shutdown:/nope
	`})
	w.At(2*time.Second, simkernel.Signals(kernel.SIGUSR2))
	w.Boot()
	w.WantEnd(simkernel.PoweredOff, 2*time.Second)
	t.Log(w.Story())
	t.Log(w.OpenFDs())
}
