# SPDX-License-Identifier: MIT
# Fuzzing: tests/fuzz/README.md. The harnesses are built by clang, with libFuzzer and the sanitizers, in a build folder
# of their own; what a run finds stays there until `make fuzz-merge` copies the useful part into the tree.
SYSTEM_DIRS += tests/fuzz
FUZZ_NAMES = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
FUZZ ?= $(FUZZ_NAMES)
FUZZ_BUILD = $(BUILD)/fuzz
FUZZ_CFLAGS = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Without libFuzzer: the harnesses read files, so that any compiler can replay the corpora.
FUZZ_MAIN = $(BUILD)/obj/tests/fuzz/replay.o
FUZZ_LINK =

FUZZ_PROGRAMS = $(FUZZ_NAMES:%=$(BUILD)/fuzzers/%)
FUZZ_TOOLS = $(BUILD)/fuzz-tools/seeds $(BUILD)/fuzz-tools/record
FUZZ_COMMON = $(BUILD)/obj/tests/fuzz/responses.o $(TEST_OBJ)
# Counts the RSA operations of the service.
$(BUILD)/fuzzers/service $(BUILD)/fuzzers/amqp: FUZZ_WRAP = -Wl,--wrap=crypto_rsa_oaep_encrypt
$(BUILD)/fuzzers/service $(BUILD)/fuzzers/amqp: $(BUILD)/obj/tests/fuzz/rsa_operations.o

$(FUZZ_PROGRAMS): $(BUILD)/fuzzers/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(FUZZ_COMMON) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) $(FUZZ_LINK) $(FUZZ_WRAP) -o $@ $^ $(SYSTEM_LIBS)

$(FUZZ_TOOLS): $(BUILD)/fuzz-tools/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_COMMON) $(PORT_TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $(sort $(filter %.o,$^)) $(PORT_LIBS) $(SYSTEM_LIBS)

.PHONY: fuzz-programs fuzz-replayers
fuzz-replayers: $(FUZZ_PROGRAMS) $(FUZZ_TOOLS)
fuzz-programs:
	@$(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) CC=clang CFLAGS='$(FUZZ_CFLAGS)' FUZZ_MAIN= \
	    FUZZ_LINK=-fsanitize=fuzzer fuzz-replayers

#: make fuzz             run every fuzz harness for FUZZ_SECONDS (60), FUZZ_JOBS (2) at a time; FUZZ=NAME only that one
.PHONY: fuzz fuzz-merge fuzz-record
fuzz: fuzz-programs
	@python3 tests/fuzz/run.py --build $(FUZZ_BUILD) --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(FUZZ)

#: make fuzz-merge       copy what fuzzing has found into tests/fuzz/corpus, minimized
fuzz-merge: fuzz-programs
	@python3 tests/fuzz/run.py --build $(FUZZ_BUILD) --merge --jobs $(FUZZ_JOBS) $(FUZZ)

CHECK += tests/fuzz/fuzz_test.py
CHECK_DEPENDS += fuzz-programs
