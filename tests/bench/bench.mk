# SPDX-License-Identifier: MIT
# Figures. What is measured is built twice, with each implementation of crypto.h.

SYSTEM_DIRS += tests/bench
BENCH_PROGRAMS = $(BUILD)/dps-bench $(BUILD)/dps-micro
BENCH_LIBS = -lssl -lcrypto -lbearssl -ltpms -lsqlite3 -lpq -lm

$(BUILD)/dps-bench: $(patsubst %,$(BUILD)/obj/tests/bench/%.o,dps-bench load_link)
$(BUILD)/dps-micro: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bench/micro*.c))
$(BENCH_PROGRAMS): $(BUILD)/obj/tests/bench/load_device.o $(BUILD)/obj/tests/support/activation_open.o $(PORT_LIBS)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $(filter %.o,$^) $(PORT_LIBS) $(BENCH_LIBS)

.PHONY: bench-programs
bench-programs: all $(BENCH_PROGRAMS)

#: make bench            figures, one per line, in about five minutes; BENCH="PART ..." only these, BENCH_SECONDS=2 for
#:                       each load, BENCH_FULL=1 also a million enrollments (how: tests/bench/bench.py --help)
.PHONY: bench
bench:
	@DEPS=$(DEPS) tests/setup.sh build bench
	@$(MAKE) --no-print-directory bench-programs
	@$(MAKE) --no-print-directory bench-programs BUILD=$(BUILD)/openssl CRYPTO=openssl
	@python3 -B tests/bench/bench.py --build $(BUILD) $(if $(BENCH_SECONDS),--seconds $(BENCH_SECONDS)) \
	    $(if $(BENCH_FULL),--full) $(BENCH)
