# Everything is built, booted and tested from here; `make help` lists the targets.
#
# Variables, to be given on the command line:
#   ARCH=amd64      of the guest or the image: amd64, arm64, arm, riscv64
#   OUT=FILE        where `make image` puts the image
#   KERNEL=FILE     a kernel of your own for `make run`, instead of Debian's
#   MEM=256         memory of `make run`'s guest, in MiB; Debian's kernel for amd64 needs 80
#   APPEND="..."    more words for its kernel command line
#   ACCEL=tcg       QEMU's accelerator; kvm is never taken unasked, for it is not always sound
#   DESTDIR=DIR     root of the tree that `make install` installs into
#   VERSION=...     what `init --version` says; if not given, git's description of the commit

ARCH    ?= amd64
OUT     ?= build/image-$(ARCH).cpio.gz
KERNEL  ?= build/kernels/$(ARCH)/vmlinuz
MEM     ?= 256
ACCEL   ?= tcg
VERSION ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := build

# How the programs that go into an image are built: nothing in them depends on where or when.
#
# The GODEBUG settings are not for debugging. disablethp: on a machine of 512 MiB or more the heap
# would otherwise take huge pages, at three times the time to the first action and twice the
# memory. containermaxprocs, updatemaxprocs: the runtime would keep files of the cpu cgroup open,
# which then cannot be unmounted. This way of setting them replaces all //go:debug lines.
# funcalign: functions on 4 bytes instead of 32 make PID 1 40 kB smaller and no slower.
#
# nogreenteagc: the collector of Go 1.26 for large heaps takes 48 kB of code and 100 kB of memory, and
# PID 1's heap is half a megabyte. 1.27 may not know the word any more, so only 1.26 gets it.
# -l: packages that are not in a hurry are compiled without inlining, which saves 20 kB more.
GODEBUGS := disablethp=1,containermaxprocs=0,updatemaxprocs=0
LDFLAGS   = -s -w -funcalign=4 -X runtime.godebugDefault=$(GODEBUGS) -X main.version=$(VERSION)
GCFLAGS  := $(patsubst %,-gcflags=%=-l,fmt golang.org/x/sys/unix internal/sync syscall time)
GOBUILD   = CGO_ENABLED=0 GOOS=linux GOARCH=$(1) GOARM=7 GOAMD64=v1 GOARM64=v8.0 GOFLAGS= \
            GOEXPERIMENT=$(if $(filter go1.26%,$(shell go env GOVERSION)),nogreenteagc) \
            go build -trimpath -buildvcs=false -ldflags='$(LDFLAGS)' $(GCFLAGS)

# Programs of this machine, by the names that the fetcher knows.
QEMU_amd64   := program:qemu-system-x86_64
QEMU_arm64   := program:qemu-system-aarch64
QEMU_arm     := program:qemu-system-arm
QEMU_riscv64 := program:qemu-system-riscv64
# Not every machine can run a container, so the tests do not insist on that.
TEST_NEEDS := $(QEMU_amd64) $(QEMU_arm64) program:busybox program:cc program:aarch64-linux-gnu-gcc \
              program:cpio program:mandoc program:podman program:runc program:unshare \
              program:mkfs.ext4 program:losetup

ifneq ($(filter build init image run install install-panicctl,$(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))),)
ifeq ($(QEMU_$(ARCH)),)
$(error ARCH=$(ARCH): want amd64, arm64, arm or riscv64)
endif
# Make would take it for several files.
ifneq ($(words $(OUT)),1)
$(error OUT=$(OUT): want one file, without blanks in its name)
endif
endif

# Linters and the test runner, at the versions of tools/go.mod.
TOOL := go tool -modfile=tools/go.mod
TEST := $(TOOL) gotestsum --format pkgname-and-test-fails --

.PHONY: FORCE
FORCE:

.PHONY: help
help: ## list the targets and the variables
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables, to be given behind the target:"
	@sed -n 's/^#   \([A-Z]*=\)/\1/p' Makefile

.PHONY: build
build: init build/reboot-$(ARCH) ## build the programs for ARCH into build/

.PHONY: init
init: build/init-$(ARCH) ## build init for ARCH: build/init-ARCH, which is reboot, halt, poweroff too

# Go knows best what is up to date.
build/init-%: FORCE
	@echo "build   $@"
	@$(call GOBUILD,$*) -o $@ ./cmd/init

build/reboot-%: FORCE
	@echo "build   $@"
	@$(call GOBUILD,$*) -o $@ ./cmd/reboot

build/panicctl-%: FORCE
	@echo "build   $@"
	@$(call GOBUILD,$*) -o $@ ./cmd/panicctl

.PHONY: image
image: $(OUT) ## make the initramfs for ARCH: OUT=FILE, else build/image-ARCH.cpio.gz

BUSYBOX = build/busybox/$(ARCH)
IMAGE   = --arch $(ARCH) --init build/init-$(ARCH) --busybox $(BUSYBOX) --compress gzip \
          --tree initramfs/files

$(OUT): build/init-$(ARCH) $(BUSYBOX) FORCE
	@echo "image   $@"
	@go run ./initramfs $(IMAGE) --output $@

build/demo-$(ARCH).cpio.gz: build/init-$(ARCH) $(BUSYBOX) FORCE
	@echo "image   $@"
	@go run ./initramfs $(IMAGE) --overlay initramfs/demo --output $@

build/busybox/%:
	@go run ./test/fetch --arch $* busybox

build/kernels/%/vmlinuz:
	@go run ./test/fetch --arch $* kernel

# By the environment, words with quotes in them reach the program as they are.
run: export APPEND := $(APPEND)

.PHONY: run
run: $(OUT) build/demo-$(ARCH).cpio.gz ## boot it in QEMU; without a terminal the demo, which powers off
	@go run ./test/fetch --arch $(ARCH) $(QEMU_$(ARCH)) $(if $(filter build/%,$(KERNEL)),kernel)
	@go build -o build/boot ./test/qemu/boot
	@exec build/boot --arch $(ARCH) --kernel $(KERNEL) --memory $(MEM) --accel $(ACCEL) \
		--append "$$APPEND" --initrd $(OUT) --demo build/demo-$(ARCH).cpio.gz

.PHONY: test
test: deps test-unit test-root test-images test-qemu ## test everything, installing what that needs

# What the fetcher gets is there in `make test`, so that a test which would be skipped for want of
# it fails instead.
test-root test-qemu: export REBOUND_REQUIRE := root,qemu
test-unit: export REBOUND_REQUIRE := mandoc
test-root test-qemu: export REBOUND_INIT := $(CURDIR)/build/init-amd64

# The rooms whose tests need a PID namespace or a container.
LIVE := actor/realactor scenario/pidns scenario/container

.PHONY: test-unit
test-unit: ## test what needs neither root nor QEMU, with the race detector
	@echo "test    unit tests"
	@$(TEST) -race -timeout 30m $$(go list ./... | grep -v -e /test/ $(addprefix -e ,$(LIVE) scenario/qemu))

.PHONY: test-root
test-root: build/init-amd64 ## test in PID namespaces, which needs root
	@echo "test    PID namespaces"
	@$(TEST) -timeout 30m ./internal/kernel/contract ./internal/linux \
		$(LIVE:%=./internal/%) \
		$$(go list ./test/... | grep -v /test/qemu)

.PHONY: test-images
test-images: ## check that every architecture's image is the same bytes when built again
	@for arch in amd64 arm64 arm riscv64; do \
		for n in 1 2; do \
			rm -f build/init-$$arch; \
			$(MAKE) --no-print-directory -s image ARCH=$$arch OUT=build/same-$$n.cpio.gz \
				>/dev/null || exit 1; \
		done; \
		cmp build/same-1.cpio.gz build/same-2.cpio.gz || exit 1; \
		echo "test    image for $$arch: the same bytes again"; \
	done; rm -f build/same-*.cpio.gz

# The images first: a test takes build/image-*.cpio.gz as it finds them.
.PHONY: test-qemu
test-qemu: build/init-amd64 ## test on real kernels in QEMU, amd64 and arm64
	@$(MAKE) --no-print-directory image ARCH=amd64
	@$(MAKE) --no-print-directory image ARCH=arm64
	@echo "test    QEMU"
	@$(TEST) -timeout 40m ./test/qemu/... ./internal/scenario/qemu

.PHONY: simboot
simboot: ## build simboot, which boots on a simulated kernel and plays scenarios, into build/
	@echo "build   build/simboot"
	@CGO_ENABLED=0 go build -o build/simboot ./cmd/simboot

.PHONY: panicctl
panicctl: ## build panicctl, which tells what a machine does when its kernel dies, into build/
	@echo "build   build/panicctl"
	@CGO_ENABLED=0 go build -o build/panicctl ./cmd/panicctl

.PHONY: agree
agree: deps simboot build/init-amd64 build/init-arm64 ## play every scenario in every world, and compare
	@build/simboot agree -init build/init-amd64 test/scenarios

# kexec(8) loads the crash kernel where the kernel cannot read its file itself, as Debian's for arm64.
KEXEC := kexec-tools libc6 zlib1g libxenmisc4.17 libxencall1 libxendevicemodel1 libxenevtchn1 \
	libxenforeignmemory1 libxengnttab1 libxentoolcore1 libxentoollog1

# RECORD=1 keeps the consoles, RUN=6.1-amd64/oops or RUN=comeback/oops plays only what matches.
.PHONY: agree-kernels
agree-kernels: build/init-amd64 ## make Debian's kernels fail in QEMU, and the model the same way, and compare
	@go run ./test/fetch --arch amd64 $(QEMU_amd64) $(QEMU_arm64) program:cc \
		program:aarch64-linux-gnu-gcc busybox kernel-generic headers-generic kernel-6.12 headers-6.12
	@go run ./test/fetch --arch arm64 busybox kernel-generic headers-generic $(KEXEC:%=package:%)
	@go run ./test/kernels --run '$(RUN)' $(if $(RECORD),--record test/kernels/testdata) \
		$(if $(RUN),,--table docs/agreement.md)
	@go run ./test/kernels --policies --run '$(RUN)' $(if $(RECORD),--record test/kernels/testdata) \
		$(if $(RUN),,--table docs/agreement.md)

BENCH_PACKAGES := sysvinit-core libc6 libselinux1 libpcre2-8-0

.PHONY: bench
bench: build/init-amd64 ## compare with BusyBox, sysvinit and bare loops; also build/bench.json
	@go run ./test/fetch --arch amd64 $(QEMU_amd64) program:cc kernel busybox \
		$(BENCH_PACKAGES:%=package:%)
	@go run ./test/bench -init build/init-amd64

.PHONY: lint
lint: ## check the form of the code: gofumpt, go vet, staticcheck
	@echo "lint    gofumpt"
	@unformatted=$$($(TOOL) gofumpt -l .); \
		test -z "$$unformatted" || { echo "gofumpt would change:"; echo "$$unformatted"; exit 1; }
	@echo "lint    go vet"
	@go vet ./...
	@echo "lint    staticcheck"
	@$(TOOL) staticcheck ./...

.PHONY: fmt
fmt: ## bring the code into the form that lint checks
	@$(TOOL) gofumpt -w .

# By the environment, a name with spaces or quotes in it stays one name.
install install-panicctl: export DESTDIR := $(DESTDIR)

.PHONY: install
install: build/init-$(ARCH) ## install init, its other names and the manual below DESTDIR=DIR
	@test -n "$$DESTDIR" || { \
		echo "make install: want DESTDIR=DIR, the root of the tree to install into" >&2; exit 1; }
	@echo "install $$DESTDIR/sbin: init, reboot, halt, poweroff"
	@install -D -m 755 build/init-$(ARCH) "$$DESTDIR/sbin/init"
	@for name in reboot halt poweroff; do ln -sfn init "$$DESTDIR/sbin/$$name" || exit 1; done
	@echo "install $$DESTDIR/usr/share/man: their manual pages"
	@for section in 5 8; do \
		install -D -m 644 -t "$$DESTDIR/usr/share/man/man$$section" \
			$$(ls docs/man/*.$$section | grep -v panicctl) || exit 1; \
	done
	@for name in halt poweroff; do \
		ln -sfn reboot.8 "$$DESTDIR/usr/share/man/man8/$$name.8" || exit 1; \
	done

.PHONY: install-panicctl
install-panicctl: build/panicctl-$(ARCH) panicctl ## install panicctl, its manual and completions below DESTDIR=DIR
	@test -n "$$DESTDIR" || { \
		echo "make install-panicctl: want DESTDIR=DIR, the root of the tree to install into" >&2; exit 1; }
	@echo "install $$DESTDIR/usr/sbin: panicctl"
	@install -D -m 755 build/panicctl-$(ARCH) "$$DESTDIR/usr/sbin/panicctl"
	@install -D -m 644 -t "$$DESTDIR/usr/share/man/man8" docs/man/panicctl.8
	@install -d "$$DESTDIR/usr/share/bash-completion/completions" \
		"$$DESTDIR/usr/share/zsh/vendor-completions" "$$DESTDIR/usr/share/fish/vendor_completions.d"
	@build/panicctl completion bash >"$$DESTDIR/usr/share/bash-completion/completions/panicctl"
	@build/panicctl completion zsh >"$$DESTDIR/usr/share/zsh/vendor-completions/_panicctl"
	@build/panicctl completion fish >"$$DESTDIR/usr/share/fish/vendor_completions.d/panicctl.fish"

.PHONY: deps
deps: ## get what tests and run need: QEMU, C compilers; kernels, headers, BusyBox into build/
	@go run ./test/fetch --arch amd64 $(TEST_NEEDS) kernel headers busybox \
		kernel-generic kernel-6.12
	@go run ./test/fetch --arch arm64 kernel headers busybox

.PHONY: clean
clean: ## remove what was built, but not what was downloaded
	@rm -rf build/init-* build/boot build/simboot build/panicctl* build/*.cpio.gz build/bench*

.PHONY: distclean
distclean: ## remove build/ altogether
	@rm -rf build
