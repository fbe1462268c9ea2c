# SPDX-License-Identifier: MIT
# Programs of ours with one mistake each, which the conformance suite must find: tests/mutants/service/*.patch and
# device/*.patch. Some of them always run; the test takes the ordinary objects for everything but the changed file.
CHECK += tests/mutants/mutants_test.py
CHECK_MORE += check-mutants
MUTANTS_PROGRAMS = $(addprefix $(BUILD)/,dps-conformance dps-service dps-device)

#: make check-mutants    build services and devices with one mistake each, and see dps-conformance find every one
#:                       (MUTANTS=ID: only those whose id begins so)
.PHONY: check-mutants
check-mutants:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory $(MUTANTS_PROGRAMS)
	@MUTANTS='$(or $(MUTANTS),all)' /usr/bin/python3 tests/tap.py tests/mutants/mutants_test.py $(BUILD)

# One of them: MUTANT is the directory with its source, MUTANT_SOURCE's path in it is that in the tree.
MUTANT_MAIN = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter %/$(MUTANT_PROGRAM).c,$(PROGRAM_SRC)))
.PHONY: mutant
mutant:
	$(Q)$(CC) $(OWN_CPPFLAGS) $(CPPFLAGS) \
	    $(if $(filter $(SYSTEM_DIRS),$(patsubst %/,%,$(dir $(MUTANT_SOURCE)))),-D_GNU_SOURCE) \
	    -std=c11 -w $(CFLAGS) -O1 -c -o $(MUTANT)/mutant.o $(MUTANT)/$(MUTANT_SOURCE)
	$(Q)$(LINK) -o $(MUTANT)/$(MUTANT_PROGRAM) $(MUTANT)/mutant.o \
	    $(if $(filter %/$(MUTANT_PROGRAM).c,$(MUTANT_SOURCE)),,$(MUTANT_MAIN)) $(PORT_LIBS) $(SYSTEM_LIBS)
