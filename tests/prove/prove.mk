# SPDX-License-Identifier: MIT
# Proofs of the parsers: contracts in tests/prove/*.acsl, loop annotations beside the loops.

#: make prove            prove that the parsers have no run-time error (Frama-C; PROVE_FILE=FILE: only that source)
CHECK_BESIDE = prove
.PHONY: prove prove-update
prove:
	@DEPS=$(DEPS) tests/setup.sh build prove
	@$(MAKE) --no-print-directory $(BUILD)/prove/axioms && $(BUILD)/prove/axioms
	@/usr/bin/python3 tests/tap.py tests/prove/prove_test.py $(BUILD) $(PROVE_FILE)

#: make prove-update     write the table of the last make prove into spec-notes.md
prove-update:
	@python3 -B tests/prove/table.py $(BUILD)

$(BUILD)/prove/axioms: $(BUILD)/obj/tests/prove/axioms.o
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^
