# SPDX-License-Identifier: MIT
# The protocol as a symbolic model (tests/model/README.md).
SYSTEM_DIRS += tests/model
MODEL_AREAS = $(BUILD)/tests/model-areas

$(MODEL_AREAS): $(BUILD)/obj/tests/model/areas.o $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO))

#: make model            the protocol against an attacker who is allowed everything (Maude; under a minute);
#:                       MODEL="WORD ..." only what has one
CHECK_MORE += model
.PHONY: model
model:
	@DEPS=$(DEPS) tests/setup.sh build model
	@$(MAKE) --no-print-directory $(MODEL_AREAS)
	@/usr/bin/python3 tests/tap.py tests/model/model_test.py $(BUILD) $(MODEL)
