# SPDX-License-Identifier: MIT
# tpm-dps: every target of the project. `make help` lists them.
CC ?= cc
BUILD ?= build
CFLAGS ?= -O2 -g
DEPS ?= yes
# What implements crypto.h and tls.h: bearssl, or openssl (libcrypto and libssl, for large servers). Build each into a
# directory of its own.
CRYPTO ?= bearssl
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
       -Wcast-qual -Wundef $(WERROR)
# For those who build with another compiler than the tests do: WERROR= leaves warnings what they are.
WERROR ?= -Werror
# The same bytes come out in every directory.
PREFIX_MAP = -ffile-prefix-map=$(CURDIR)=.
ALL_CFLAGS = -std=c11 $(WARN) -ffunction-sections -fdata-sections $(PREFIX_MAP) $(CFLAGS)
LINK = $(CC) $(CFLAGS) $(LDFLAGS)
ifneq ($(words $(BUILD)),1)
$(error BUILD=$(BUILD): the name of the build directory has a space, which make cannot work with)
endif
ifneq ($(words $(CURDIR)),1)
$(error $(CURDIR): the name of this directory has a space, which make cannot work with)
endif

# V=1 shows the commands.
Q = $(if $(V),,@)
SAY = $(if $(V),@:,@printf '  %-4s %s\n')

# Every .c of a directory is built; no source can stay in the tree unbuilt.
CRYPTO_SRC_bearssl = $(addprefix crypto/,crypto_bearssl.c tls.c tls_chain.c tls_identity.c tls_trust.c)
CRYPTO_SRC_openssl = $(wildcard port/openssl/*.c)
CRYPTO_LIBS_bearssl = -lbearssl
CRYPTO_LIBS_openssl = -lssl -lcrypto -lbearssl
CRYPTO_CPPFLAGS_openssl = -Iport/openssl
# The core from the lowest layer up, and the folders of the POSIX port.
CORE_DIRS = crypto/bytes crypto tpm tpm/tools dps/protocol dps/device dps/service dps/manage
POSIX_ROOMS = port/posix/pki port/posix/paste port/posix/explain port/posix/device port/posix/service port/posix/admin
CORE_SRC = $(CRYPTO_SRC_$(CRYPTO)) $(filter-out $(CRYPTO_SRC_bearssl),$(wildcard $(CORE_DIRS:%=%/*.c)))
PROGRAM_SRC = $(wildcard port/posix/*/dps-*.c)
PORT_SRC = port/drive.c port/link.c $(filter-out $(PROGRAM_SRC),$(wildcard $(patsubst %,%/*.c,port/posix $(POSIX_ROOMS))))
PROGRAMS = $(patsubst %.c,$(BUILD)/%,$(notdir $(PROGRAM_SRC)))
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
PORT_TESTS = $(patsubst tests/port/%.c,$(BUILD)/port-tests/%,$(wildcard tests/port/test_*.c))
TEST_TOOLS = $(patsubst tests/e2e/%.c,$(BUILD)/tests/%,$(wildcard tests/e2e/*.c))

CORE_OBJ = $(CORE_SRC:%.c=$(BUILD)/obj/%.o)
PORT_OBJ = $(PORT_SRC:%.c=$(BUILD)/obj/%.o)
TEST_OBJ = $(BUILD)/obj/tests/unit/test.o \
           $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/vectors/*.c tests/support/*.c))
PORT_TEST_OBJ = $(TEST_OBJ) $(BUILD)/obj/port/none/none.o \
                $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/port/test_%,$(wildcard tests/port/*.c)))
HOSTILE_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/hostile/*.c) tests/vectors/activation_blob.c)
PORT_LIBS = $(BUILD)/libtpmdps-posix.a $(BUILD)/libtpmdps.a
SYSTEM_LIBS = $(CRYPTO_LIBS_$(CRYPTO)) -ltpms -lsqlite3 -lpq
OWN_CPPFLAGS := $(CRYPTO_CPPFLAGS_$(CRYPTO)) -I. $(shell pkg-config --cflags libpq 2>/dev/null || echo -I/usr/include/postgresql)
# The core and the portable part of port/ are plain C11; what runs on a system may use it.
SYSTEM_DIRS = port/posix $(POSIX_ROOMS) tests/port tests/e2e
SYSTEM_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64

# Longer rules are beside their subject: tests/fuzz/fuzz.mk, packaging/... These add to
# PROGRAMS (what `make` builds), CHECK (tests of `make check`; DEPENDS: what they need built first) and CHECK_MORE
# (further targets of `make check-all`; BESIDE: the one that runs beside them).
CHECK = tests/tap_test.sh tests/setup_test.sh tests/judge_test.sh
CHECK_DEPENDS =
CHECK_MORE =
PARTS = $(sort $(wildcard packaging/*.mk port/*/*.mk tests/*/*.mk))
include $(PARTS)

#: make                  the libraries and programs, into build/ (needs libbearssl-dev libtpms-dev libsqlite3-dev)
.PHONY: all
.DEFAULT_GOAL = all
all: $(BUILD)/libtpmdps.a $(PROGRAMS)

# Every "#: target  what it does" of this file and of those it includes.
.PHONY: help
help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST) | grep -v '^Variables'
	@sed -n 's/^#: //p' $(MAKEFILE_LIST) | grep '^Variables'

$(BUILD)/libtpmdps.a: $(CORE_OBJ)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/libtpmdps-posix.a: $(PORT_OBJ)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^

# As it is, or with $(1).
compile = $(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) \
          $(if $(filter $(SYSTEM_DIRS),$(patsubst %/,%,$(dir $<))),$(SYSTEM_CPPFLAGS)) $(ALL_CFLAGS) $(1) \
          -MMD -MP -c -o $@ $<
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(call compile)

# A program's main is in the folder of the program's name.
$(foreach main,$(PROGRAM_SRC),$(eval $(BUILD)/$(basename $(notdir $(main))): $(BUILD)/obj/$(main:.c=.o)))
$(PROGRAMS): $(PORT_LIBS)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $(filter %.o,$^) $(PORT_LIBS) $(SYSTEM_LIBS)

$(UNIT_TESTS): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(TEST_OBJ) $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO))

$(PORT_TESTS): $(BUILD)/port-tests/%: $(BUILD)/obj/tests/port/%.o $(PORT_TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(PORT_LIBS) $(SYSTEM_LIBS)

$(TEST_TOOLS): $(BUILD)/tests/%: $(BUILD)/obj/tests/e2e/%.o $(TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(SYSTEM_LIBS)

.PHONY: tests
tests: $(UNIT_TESTS) $(PORT_TESTS) $(TEST_TOOLS)

# ---- Set-up: each of these is done once per machine, and says what it does ---------------------------------------------

#: make setup            only install what make check needs (apt-get; DEPS=no only looks)
#: Variables: CC CFLAGS LDFLAGS BUILD CRYPTO=bearssl|openssl; V=1 shows commands; DEPS=no never installs.
.PHONY: setup-build setup
setup-build:
	@DEPS=$(DEPS) tests/setup.sh build
setup:
	@DEPS=$(DEPS) tests/setup.sh build check

# ---- What a newcomer and every commit should run ------------------------------------------------------------------------

#: make demo             install what is missing, build, and tell the whole story on an in-process TPM
.PHONY: demo
demo: setup-build
	@$(MAKE) --no-print-directory all
	@tests/demo.sh $(BUILD)

#: make check-unit       the core's tests alone; they need no more than the build
.PHONY: check-unit
check-unit: $(UNIT_TESTS)
	@BUILD=$(BUILD) $(PROVE) --exec tests/run.sh $(UNIT_TESTS)

# The same tests twice: as they are, and with the sanitizers. clang compiles everything once more, for its warnings.
ASAN = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_NAMES = $(notdir $(UNIT_TESTS))
PORT_NAMES = $(notdir $(PORT_TESTS))
E2E = $(wildcard tests/e2e/*_test.py tests/e2e/*_test.sh)
LINT = $(wildcard tests/lint/*.sh tests/lint/*_test.py)
CLANG_TIDY = tests/lint/clang_tidy.sh

# A test that fails shows what it got and what it wanted.
PROVE = prove --timer --failures --comments

#: make check            install what is missing, build, and run the tests (under 10 minutes)
.PHONY: check
check: setup
	@$(MAKE) --no-print-directory -j2 all tests
	@$(MAKE) --no-print-directory -j2 all tests BUILD=$(BUILD)/asan CFLAGS='$(ASAN)'
	@$(MAKE) --no-print-directory -j2 all tests BUILD=$(BUILD)/clang CC=clang CFLAGS=-O1
	@$(if $(CHECK_DEPENDS),$(MAKE) --no-print-directory $(CHECK_DEPENDS))
	@BUILD=$(BUILD) $(PROVE) --jobs 2 --exec tests/run.sh \
	    $(UNIT_TESTS) $(PORT_TESTS) \
	    $(UNIT_NAMES:%=$(BUILD)/asan/unit/%) $(PORT_NAMES:%=$(BUILD)/asan/port-tests/%) $(E2E) $(CHECK) $(filter-out $(CLANG_TIDY),$(LINT))

#: make lint             format, static analysis and structure rules
.PHONY: lint
lint:
	@BUILD=$(BUILD) $(PROVE) --exec tests/run.sh $(LINT)

#: make check-tidy       clang-tidy over all sources, then over the tests: the longest analysis, which make lint has, too
CHECK_MORE += check-tidy
.PHONY: check-tidy
check-tidy:
	@DEPS=$(DEPS) tests/setup.sh build check
	@BUILD=$(BUILD) $(PROVE) --exec tests/run.sh $(CLANG_TIDY)
	@BUILD=$(BUILD) TIDY=tests $(PROVE) --exec tests/run.sh $(CLANG_TIDY)

# Other people's clients against our service. What npm installs stays in $(BUILD).
NODE_PEERS = $(BUILD)/peers/node
PEERS = $(wildcard tests/peers/*_test.sh tests/peers/*_test.py tests/peers/node/*_test.js)

#: make check-peers      Microsoft's SDK against our service (node, npm packages); mosquitto as our device's hub
CHECK_MORE += check-peers
.PHONY: check-peers
check-peers:
	@DEPS=$(DEPS) tests/setup.sh build peers
	@$(MAKE) --no-print-directory all $(NODE_PEERS)/installed
	@BUILD=$(BUILD) NODE_PATH=$(abspath $(NODE_PEERS))/node_modules $(PROVE) --exec tests/run.sh $(PEERS)

#: make check-c-sdk       Microsoft's C SDK against our service: C_SDK=DIR, a checkout with its submodules
.PHONY: check-c-sdk
check-c-sdk: all
	@BUILD=$(BUILD) C_SDK='$(C_SDK)' $(PROVE) --exec tests/run.sh tests/peers/c/page_test.sh

$(NODE_PEERS)/installed: $(addprefix tests/peers/node/,package.json package-lock.json .npmrc)
	@mkdir -p $(@D)
	$(SAY) NPM $(<D)
	$(Q)cp $^ $(@D) && cd $(@D) && npm ci --ignore-scripts --no-progress --loglevel=error
	$(Q)touch $@

#: make check-more       everything that make check leaves out
#: make check-all        make check and make check-more
.PHONY: check-all check-more
check-more:
	+@BUILD=$(BUILD) MAKE="$(MAKE)" tests/check_more.sh $(CHECK_BESIDE) $(CHECK_MORE)
check-all: check
	@$(MAKE) --no-print-directory check-more

#: make clean            remove build/
.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
