# SPDX-License-Identifier: MIT
# The tests on other processors, each program run by qemu-user: big-endian with 64 and 32 bits, little-endian with 32
# and 64; i686, as gcc -m32 makes it. What a device has on an AVR, where int and size_t have 16 bits. Then compile-only
# targets without any C library.
SYSTEM_DIRS += tests/cross
CROSS = $(BUILD)/cross
CROSS_ARCHES = s390x-linux-gnu powerpc-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu i686-linux-gnu

# Foreign processors have no SQLite, PostgreSQL or libtpms: the store is the one in memory, and the TPM is a swtpm of
# this machine (tpm_process.c). Tests of what is not there are left out, and so is test_hostile, which takes long and
# mostly asks the TPM.
CROSS_PORT_SRC = tests/cross/tpm_process.c port/posix/service/client.c \
    $(filter-out $(PROGRAM_SRC) port/posix/service/% port/posix/store_sqlite% port/posix/store_postgres% \
                 port/posix/tpm_libtpms.c, $(PORT_SRC))
CROSS_PORT_TESTS = $(filter-out %/test_store %/test_store_sqlite %/test_store_failures %/test_tpm %/test_hostile \
                     %/test_server_slots %/test_server_shared %/test_server_log %/test_postgres_hosts, \
                     $(PORT_TESTS))
# With 32 bits, glibc's own off_t and time_t are too short for today's file systems and for 2038.
CROSS_CFLAGS = -O1 -static -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
               -isystem $(BEARSSL_INC)

# Emulated, RSA takes most of the tests' time.
$(foreach arch,$(CROSS_ARCHES),$(eval BEARSSL_CFLAGS_$(arch) = -O2 -ffunction-sections -DBR_USE_UNIX_TIME=0))

# For the recursive make below, with BUILD, CC and the rest set for one processor.
.PHONY: cross-programs
cross-programs: $(UNIT_TESTS) $(CROSS_PORT_TESTS) $(BUILD)/dps-device

.PHONY: cross-build $(CROSS_ARCHES:%=cross-%)
cross-build: $(CROSS_ARCHES:%=cross-%)
$(CROSS_ARCHES:%=cross-%): cross-%:
	@$(MAKE) --no-print-directory $(BEARSSL)/$*/libbearssl.a
	@mkdir -p $(CROSS)
	@# Names are looked up as far as a static program can: the linker need not say so for each.
	@$(MAKE) --no-print-directory cross-programs BUILD=$(CROSS)/$* CC=$*-gcc CRYPTO=bearssl BEARSSL=$(BEARSSL) \
	    CFLAGS='$(CROSS_CFLAGS)' PORT_SRC='$(CROSS_PORT_SRC)' SYSTEM_LIBS='$(BEARSSL)/$*/libbearssl.a' \
	    CRYPTO_LIBS_bearssl='$(BEARSSL)/$*/libbearssl.a' 2>$(CROSS)/$*.errors; status=$$?; \
	    grep -vE 'in statically linked applications requires|: in function ' $(CROSS)/$*.errors >&2; exit $$status

CROSS_PROGRAMS = $(foreach arch,$(CROSS_ARCHES),$(patsubst $(BUILD)/%,$(CROSS)/$(arch)/%,\
    $(UNIT_TESTS) $(CROSS_PORT_TESTS) $(BUILD)/dps-device))

# ---- AVR: 16 bits ----
#
# Whatever a device links compiles there, and a conversion that may lose bits is an error. Run, in simavr, is what needs
# no RSA, which takes a simulated AVR minutes. 64 KiB of memory, as much as an AVR can address: constants are in it.
AVR = $(CROSS)/avr
AVR_CC = avr-gcc -mmcu=atmega2560
AVR_FLAGS = -std=c11 -Os -ffunction-sections -fdata-sections -I. -isystem $(BEARSSL_INC)
# gcc 5, which Debian has for it, warns of every field that a designated initializer leaves out.
AVR_WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-qual -Wundef -Wno-missing-field-initializers -Werror
AVR_LINK = -Wl,--gc-sections -Wl,--defsym=__DATA_REGION_LENGTH__=0xfe00 -Wl,--defsym=__stack=0xffff
AVR_DIRS = crypto/bytes crypto tpm tpm/tools dps/protocol dps/device port port/none port/tis
AVR_OBJ = $(patsubst %.c,$(AVR)/%.o,$(wildcard $(AVR_DIRS:%=%/*.c)))
AVR_TEST_OBJ = $(patsubst %.c,$(AVR)/%.o,tests/cross/avr/console.c tests/unit/test.c tests/vectors/activation_blob.c \
                 tests/vectors/commands.c)
AVR_TESTS = $(patsubst %,$(AVR)/test_%.elf,wire der rc public command session json http text sas)

BEARSSL_CFLAGS_avr = -mmcu=atmega2560 -w $(BEARSSL_CFLAGS)

$(AVR)/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(AVR_CC) $(AVR_FLAGS) $(if $(filter tests/%,$<),-w,$(AVR_WARN)) -MMD -MP -c -o $@ $<

$(AVR_TESTS): $(AVR)/%.elf: $(AVR)/tests/unit/%.o $(AVR_TEST_OBJ) $(AVR_OBJ)
	$(SAY) LD $@
	$(Q)$(AVR_CC) $(AVR_LINK) -o $@ $^ $(BEARSSL)/avr/libbearssl.a

$(AVR)/run: tests/cross/avr/run.c
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -lsimavr

.PHONY: avr-programs cross-avr
avr-programs: $(AVR)/run $(AVR_TESTS)
cross-avr:
	@$(MAKE) --no-print-directory $(BEARSSL)/avr/libbearssl.a
	@$(MAKE) --no-print-directory avr-programs
-include $(shell find $(AVR) -name '*.d' 2>/dev/null)

#: make check-cross      the tests on s390x, powerpc, armhf, riscv64, i686 and AVR; sizes on Cortex-M0+ and riscv32
CHECK_MORE += check-cross
.PHONY: check-cross
check-cross:
	@DEPS=$(DEPS) tests/setup.sh build check cross
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory cross-build cross-avr
	@BUILD=$(BUILD) $(PROVE) --jobs 2 --exec tests/cross/run.sh \
	    tests/cross/size_test.sh $(AVR_TESTS) $(CROSS_PROGRAMS)
