# SPDX-License-Identifier: MIT
# The lab: device, TPM, service and hub as one WebAssembly module, and the page that lets people touch them.
SYSTEM_DIRS += tests/lab
LAB = $(BUILD)/lab
LAB_CC = clang
LAB_TARGET = --target=wasm32 -ffreestanding -fbuiltin
# No memory for many clients, and no 64-bit products of 64-bit numbers, which would need a library.
LAB_LIMITS = -DDPS_HINTS=8 -DDPS_BUCKETS=16 -DDPS_RECORD_MAX=4096 -DDPS_HTTP_BODY_MAX=49152
BEARSSL_CC_wasm32 = $(LAB_CC)
BEARSSL_AR_wasm32 = llvm-ar
BEARSSL_CFLAGS_wasm32 = $(LAB_TARGET) -O2 -ffunction-sections -fdata-sections -isystem $(CURDIR)/port/bare/libc \
                        -DBR_INT128=0 -DBR_USE_UNIX_TIME=0 -DBR_USE_URANDOM=0
LAB_OWN = $(filter-out tests/lab/test_%,$(wildcard tests/lab/*.c))
LAB_INTERPOSER = $(filter-out %/interpose_name.c,$(wildcard tests/hostile/interpose*.c))
LAB_TPM = $(filter-out %/server.c %/in_process.c $(wildcard tests/tiny_tpm/compare*.c),$(wildcard tests/tiny_tpm/*.c))
LAB_SRC = $(LAB_OWN) $(LAB_INTERPOSER) $(LAB_TPM) \
          tests/support/vendor_token.c tests/vectors/activation_blob.c tests/lab/libc/libc.c port/bare/libc/memory.c \
          port/posix/store_memory.c port/posix/store_common.c \
          $(addprefix port/posix/explain/trace_,http.c message.c mqtt.c session.c secrets.c text.c values.c) \
          crypto/crypto_bearssl.c crypto/kdf.c \
          $(wildcard $(addsuffix /*.c,crypto/bytes tpm tpm/tools dps/protocol dps/device dps/service dps/manage))
LAB_OBJ = $(LAB_SRC:%.c=$(LAB)/obj/%.o)
LAB_EXPORTS = reset run step change_message change_thing undo text scenes message state things

$(LAB)/obj/%.o: %.c $(BEARSSL_INC)/bearssl.h
	@mkdir -p $(@D)
	$(SAY) WASM $<
	$(Q)$(LAB_CC) -std=c11 -Oz $(WARN) $(LAB_TARGET) $(LAB_LIMITS) -ffunction-sections -fdata-sections $(PREFIX_MAP) \
	    $(if $(filter %/memory.c %/libc.c,$<),-fno-builtin) -I. -isystem tests/lab/libc -isystem $(BEARSSL_INC) \
	    -MMD -MP -c -o $@ $<

$(LAB)/lab.wasm: $(LAB_OBJ) $(BEARSSL)/wasm32/libbearssl.a
	$(SAY) LD $@
	$(Q)wasm-ld --no-entry --gc-sections --strip-all -z stack-size=131072 $(LAB_EXPORTS:%=--export=lab_%) -o $@ $^


# The same without a browser.
LAB_NATIVE = $(LAB_OWN:%.c=$(BUILD)/obj/%.o) $(LAB_INTERPOSER:%.c=$(BUILD)/obj/%.o) $(LAB_TPM:%.c=$(BUILD)/obj/%.o)
$(LAB)/test_lab: $(BUILD)/obj/tests/lab/test_lab.o $(LAB_NATIVE) $(TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $^ $(SYSTEM_LIBS)

#: make lab              build/lab.html: change a byte of the flow, and see who notices (clang, lld)
LAB_PAGE = tests/lab/lab_page.py $(wildcard tests/lab/page/*) \
           $(addprefix tests/walkthrough/,style.css transcript.py chapters.py sources.py links.py frame.py lab_links.py odd.py)
.PHONY: lab
lab:
	@DEPS=$(DEPS) tests/setup.sh lab
	@$(MAKE) --no-print-directory $(BUILD)/lab.html

$(BUILD)/lab.html: $(LAB)/lab.wasm $(LAB_PAGE) dps/service/refusal.h crypto/bytes/error.h spec-notes.md \
                     tests/site/documents.py $(BUILD)/repository
	$(SAY) PAGE $@
	$(Q)REPOSITORY='$(REPOSITORY)' /usr/bin/python3 tests/lab/lab_page.py $< $@

#: make check-lab        each scene, exercise and layer of the lab; its page in a browser (chromium, npm)
CHECK_MORE += check-lab
LAB_TESTS = $(LAB)/test_lab tests/lab/kinds_test.py tests/lab/page_test.js
.PHONY: check-lab
check-lab:
	@DEPS=$(DEPS) tests/setup.sh build lab lab_browser
	@$(MAKE) --no-print-directory $(BUILD)/lab.html $(LAB)/test_lab $(WALK)/run.jsonl $(WALK)/npm/installed
	@BUILD=$(BUILD) NODE_PATH=$(abspath $(WALK))/npm/node_modules $(PROVE) --jobs 2 --exec tests/run.sh $(LAB_TESTS)

-include $(shell find $(LAB)/obj -name '*.d' 2>/dev/null)
