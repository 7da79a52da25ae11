package linux

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// poller tells Next which descriptors are ready.
//
// One goroutine waits for an epoll instance by way of the runtime's own: an epoll descriptor can
// itself be polled. So no thread is held for it.
type poller struct {
	fd      int // the epoll instance, 0 before the first watch
	ready   chan kernel.Event
	crashed chan any
	always  []kernel.Ready // ready without waiting: plain files
}

// Watch asks for one Ready event.
func (k *Kernel) Watch(fd kernel.FD, what kernel.Direction) error {
	return k.poll.watch(fd, what)
}

func (p *poller) watch(fd kernel.FD, what kernel.Direction) error {
	if p.fd == 0 {
		if err := p.start(); err != nil {
			return err
		}
	}
	ev := unix.EpollEvent{Events: unix.EPOLLONESHOT | unix.EPOLLIN, Fd: int32(fd)}
	if what == kernel.Out {
		ev.Events = unix.EPOLLONESHOT | unix.EPOLLOUT
	}
	err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(fd), &ev)
	if err == unix.EEXIST {
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, int(fd), &ev)
	}
	if err == unix.EPERM {
		// A plain file, or /dev/null: there is never anything to wait for.
		p.always = append(p.always, kernel.Ready{FD: fd, What: what})
		return nil
	}
	return err
}

func (p *poller) forget(fd kernel.FD) {
	if p.fd != 0 {
		// It fails if fd was not watched, and then there is nothing to forget.
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(fd), nil)
	}
	kept := p.always[:0]
	for _, r := range p.always {
		if r.FD != fd {
			kept = append(kept, r)
		}
	}
	p.always = kept
}

// now returns an event that needs no waiting.
func (p *poller) now() (kernel.Event, bool) {
	if n := len(p.always); n > 0 {
		ev := p.always[0]
		p.always = p.always[1:]
		return ev, true
	}
	select {
	case ev := <-p.ready:
		return ev, true
	default:
		return nil, false
	}
}

func (p *poller) start() error {
	fd, err := above(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return err
	}
	raw, err := os.NewFile(uintptr(fd), "epoll").SyscallConn()
	if err != nil {
		unix.Close(fd)
		return err
	}
	p.fd = fd
	p.ready = make(chan kernel.Event)
	p.crashed = make(chan any, 1)
	go func() {
		// In Go a panic in any goroutine ends the process. The main one knows how to
		// survive it.
		defer func() {
			if v := recover(); v != nil {
				p.crashed <- v
			}
		}()
		for {
			var evs [8]unix.EpollEvent
			n := 0
			err := raw.Read(func(uintptr) bool {
				n, _ = unix.EpollWait(fd, evs[:], 0)
				return n > 0
			})
			if err != nil {
				panic(err)
			}
			for _, ev := range evs[:n] {
				what := kernel.In
				if ev.Events&unix.EPOLLOUT != 0 {
					what = kernel.Out
				}
				p.ready <- kernel.Ready{FD: kernel.FD(ev.Fd), What: what}
			}
		}
	}()
	return nil
}
