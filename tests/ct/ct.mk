# SPDX-License-Identifier: MIT
# Constant time: valgrind's memcheck follows secrets as if they were uninitialized memory.
CHECK_MORE += ct
CT = timeout 1800 valgrind -q --error-exitcode=99
CT_FAULTS = branch address

#: make ct               no branch and no address depends on a secret (valgrind); two planted faults are noticed
.PHONY: ct
ct:
	@DEPS=$(DEPS) tests/setup.sh build ct
	@$(MAKE) --no-print-directory $(BUILD)/ct/ct $(BUILD)/ct/planted
	@$(CT) $(BUILD)/ct/ct
	@for fault in $(CT_FAULTS); do \
	    $(CT) $(BUILD)/ct/planted $$fault >$(BUILD)/ct/planted.log 2>&1; \
	    [ $$? = 99 ] || { echo "The planted fault '$$fault' was not noticed: $(BUILD)/ct/planted.log"; exit 1; }; \
	done; echo "# planted faults noticed: $(CT_FAULTS)"

$(BUILD)/ct/ct: $(addprefix $(BUILD)/obj/tests/,ct/ct.o ct/nonce.o vectors/activation_blob.o) $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--wrap=bytes_equal_secret -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO))

$(BUILD)/ct/planted: $(BUILD)/obj/tests/ct/planted.o
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^
