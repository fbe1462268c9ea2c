# SPDX-License-Identifier: MIT
# BearSSL for machines for which Debian has no binary: $(BEARSSL)/NAME/libbearssl.a, headers in $(BEARSSL)/src/inc.
# NAME is the prefix of a gcc, like s390x-linux-gnu; or anything else, after setting BEARSSL_CC_NAME and
# BEARSSL_CFLAGS_NAME (before the rule is used; default: NAME-gcc and BEARSSL_CFLAGS); BEARSSL_AR_NAME if the ar has
# another prefix than the gcc.
BEARSSL = $(BUILD)/bearssl
BEARSSL_INC = $(BEARSSL)/src/inc
# Without this BearSSL would ask a C library for the time, which the callers give it anyway.
BEARSSL_CFLAGS = -Os -ffunction-sections -fdata-sections -DBR_USE_UNIX_TIME=0
# On bare metal: our own string.h (port/bare/libc) instead of a C library's headers, and still the compiler's memcpy.
BEARSSL_BARE_CFLAGS = $(BEARSSL_CFLAGS) -ffreestanding -fbuiltin -isystem $(CURDIR)/port/bare/libc

$(BEARSSL_INC)/bearssl.h: tests/firmware/bearssl_source.sh
	@mkdir -p $(BEARSSL)
	$(SAY) GET "BearSSL's source"
	$(Q)tests/firmware/bearssl_source.sh $(BEARSSL)
	@touch $@

bearssl_cc = $(or $(BEARSSL_CC_$(1)),$(1)-gcc)
$(BEARSSL)/%/libbearssl.a: $(BEARSSL_INC)/bearssl.h tests/firmware/bearssl.mk
	@rm -rf $(@D) && mkdir -p $(@D)
	$(SAY) MAKE $@
	$(Q)MAKEFLAGS= $(MAKE) -j2 -C $(BEARSSL)/src BUILD=$(abspath $(@D)) CC=$(call bearssl_cc,$*) \
	    AR=$(or $(BEARSSL_AR_$*),$(patsubst %gcc,%ar,$(call bearssl_cc,$*))) \
	    CFLAGS='$(or $(BEARSSL_CFLAGS_$*),$(BEARSSL_CFLAGS))' lib >$(@D)/log 2>&1 || { tail -20 $(@D)/log >&2; exit 1; }
	@touch $@
