# SPDX-License-Identifier: MIT
# Figures. The generator and half of what is measured use libcrypto, so this builds both.

SYSTEM_DIRS += tests/bench
BENCH_BUILD = $(BUILD)/openssl
BENCH_LOAD = $(patsubst %.c,$(BENCH_BUILD)/obj/%.o,$(wildcard tests/bench/load_*.c) tests/bench/dps-bench.c)

$(BENCH_BUILD)/dps-bench: $(BENCH_LOAD) $(BENCH_BUILD)/libtpmdps-posix.a $(BENCH_BUILD)/libtpmdps.a
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) -Wl,--gc-sections -o $@ $^ -lssl -lcrypto -lbearssl -ltpms -lsqlite3 -lpq -lm
