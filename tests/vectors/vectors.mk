# SPDX-License-Identifier: MIT
# The vectors for others, and our own code's answers to them (tests/vectors/README.md).
VECTORS_ANSWER = $(BUILD)/tests/vectors-answer

tests: $(VECTORS_ANSWER)
CHECK += $(wildcard tests/vectors/check/*_test.py)

$(VECTORS_ANSWER): $(BUILD)/obj/tests/vectors/check/answer.o $(BUILD)/obj/tests/support/activation_open.o \
                   $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO))

#: make vectors          write tests/vectors/*.json anew; they are the same each time
.PHONY: vectors
vectors:
	@/usr/bin/python3 tests/vectors/make/generate.py
