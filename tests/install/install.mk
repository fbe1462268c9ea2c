# SPDX-License-Identifier: MIT
# What packagers and users of the libraries rely on: make install, make dist, the Debian package, another C library.

# musl, as Alpine has it: the core's tests and dps-device, static. Debian has SQLite, libpq and libtpms for its own C
# library only, so what needs them stays out, as with foreign processors.
MUSL = $(BUILD)/install/musl
BEARSSL_CC_musl = musl-gcc
BEARSSL_AR_musl = ar
BEARSSL_CFLAGS_musl = -O2 -ffunction-sections -DBR_USE_UNIX_TIME=0
MUSL_LIB = $(BEARSSL)/musl/libbearssl.a
# Without four that take minutes and ask the C library nothing that the others do not.
MUSL_TESTS = $(patsubst $(BUILD)/%,$(MUSL)/%,$(UNIT_TESTS) \
    $(filter-out %/test_bus %/test_flow %/test_interposer %/test_real_service,$(CROSS_PORT_TESTS)))

.PHONY: musl
musl:
	@$(MAKE) --no-print-directory --silent $(MUSL_LIB)
	@$(MAKE) --no-print-directory cross-programs BUILD=$(MUSL) CC=musl-gcc CRYPTO=bearssl BEARSSL=$(BEARSSL) \
	    CFLAGS='-O1 -static -isystem $(BEARSSL_INC)' PORT_SRC='$(CROSS_PORT_SRC)' SYSTEM_LIBS='$(MUSL_LIB)' \
	    CRYPTO_LIBS_bearssl='$(MUSL_LIB)'

#: make check-install    make install and its libraries, make dist, the Debian package in a new system, musl
CHECK_MORE += check-install
.PHONY: check-install
check-install:
	@DEPS=$(DEPS) tests/setup.sh build check install
	@# What gcc warns of depends on how far it looks.
	@$(MAKE) --no-print-directory all BUILD=$(BUILD)/install/o3 CC=gcc CFLAGS=-O3
	@$(MAKE) --no-print-directory packaging
	@$(MAKE) --no-print-directory musl
	@BUILD=$(BUILD) $(PROVE) --jobs 2 --exec tests/install/run.sh $(wildcard tests/install/*_test.py) \
	    $(MUSL_TESTS) $(MUSL)/dps-device
