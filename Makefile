# make demo      build, then watch it work: a client, a director and three web servers on this machine (STAY=1 keeps them)
# make test      everything that says whether the tree is good; ends with "N passed, N failed"
# make bench     connections, requests, packets, Gbit/s, CPU and memory beside HAProxy, nginx and the kernel's NAT, in the same run
#                (PARTS="web bulk" for some of it); make bench-vm counts instructions beside the kernel's IPVS,
#                make bench-test-run nanoseconds a packet of the ebpf engine's programs alone,
#                make bench-monitor what it costs to watch 2,000 real servers
# make oracle    record the packet stories from the kernel's IPVS anew; make stories prints the table of them
# make build     dist/bin/directord.js and dist/bin/directoradm.js
# make check | unit | scenario | deps | clean

export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export npm_config_loglevel := error

sources := $(shell find src -name '*.ts' -o -name '*.c' -o -name '*.h')
tools := $(shell find test/demo test/scenario test/support test/oracle bench -name '*.ts')

.PHONY: all build demo test check unit scenario bench bench-vm bench-test-run bench-monitor oracle stories deps clean

all: build

build: dist/.built

demo: deps-demo dist/.built dist/.tools
	@node dist/tools/test/demo/demo.js

test: deps-test node_modules/.package-lock.json
	@test/run-tests

# What needs no real servers: types, lint, format, unit, architecture and golden tests.
check: node_modules/.package-lock.json
	@test/run-tests types lint format build unit

unit: node_modules/.package-lock.json
	@test/run-tests build unit

scenario: deps-test node_modules/.package-lock.json
	@test/run-tests build scenario

bench: deps-bench dist/.built dist/.tools
	@node dist/tools/bench/bench.js $(PARTS)

# Instructions a packet, of the ebpf engine and of the kernel's own IPVS, counted in Debian's kernel under QEMU (PARTS=load: does that kernel load it).
bench-vm: deps-bench-vm dist/.built dist/.tools
	@node dist/tools/bench/vm/vm.js $(PARTS)

# Nanoseconds a packet, of the ebpf engine's programs alone, by BPF_PROG_TEST_RUN on established and new flows.
bench-test-run: deps-demo dist/.built dist/.tools
	@node dist/tools/bench/test-run/test-run.js

# 2,000 real servers watched for ten minutes: CPU, lateness, memory and descriptors of the daemon (DIRECTORD_MONITOR_SECONDS=120 for less).
bench-monitor: deps-demo dist/.built dist/.tools
	@node dist/tools/bench/monitor.js

# Asks the kernel's own IPVS, in User-Mode Linux, what it does with packets, and writes it down as test/stories (ONLY=prefix for some).
oracle: deps-oracle dist/.built dist/.tools
	@node dist/tools/test/oracle/record.js $(ONLY)

# Which packet stories were told by the kernel and which by hand, and whether the packet engine tells them the same.
stories: dist/.built dist/.tools
	@node dist/tools/test/oracle/story-table.js

deps: deps-demo deps-test deps-bench node_modules/.package-lock.json

.PHONY: deps-demo deps-test deps-bench deps-bench-vm deps-oracle
deps-demo deps-test deps-bench deps-bench-vm deps-oracle: deps-%:
	@test/install-deps $*

node_modules/.package-lock.json: package-lock.json | deps-demo
	@echo 'npm ci'
	@npm ci --no-audit --no-fund
	@touch $@

dist/.built: $(sources) packaging/bundle-programs packaging/compile-bpf tsconfig.json tsconfig.build.json node_modules/.package-lock.json
	@echo 'tsc -p tsconfig.build.json'
	@tsc -p tsconfig.build.json
	@packaging/bundle-programs dist
	@echo 'clang directord.bpf.c'
	@packaging/compile-bpf dist/engines/ebpf/directord.bpf.o
	@touch $@

# The demo, the bench and the programs that the scenario tests start in network namespaces.
dist/.tools: $(tools) tsconfig.json tsconfig.tools.json node_modules/.package-lock.json
	@echo 'tsc -p tsconfig.tools.json'
	@tsc -p tsconfig.tools.json
	@touch $@

clean:
	rm -rf dist .tap coverage bench/out
