# SPDX-License-Identifier: MIT
# Proofs of the parsers: contracts in tests/prove/*.acsl, loop annotations beside the loops.

#: make prove            prove that the parsers have no run-time error (Frama-C; PROVE_FILE=FILE: only that source)
.PHONY: prove
prove:
	@DEPS=$(DEPS) tests/setup.sh build prove
	@[ -f $${HOME}/.why3.conf ] || why3 config detect >/dev/null 2>&1
	@$(MAKE) --no-print-directory $(BUILD)/prove/axioms && $(BUILD)/prove/axioms
	@/usr/bin/python3 tests/tap.py tests/prove/prove_test.py $(BUILD) $(PROVE_FILE)

$(BUILD)/prove/axioms: $(BUILD)/obj/tests/prove/axioms.o
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^
