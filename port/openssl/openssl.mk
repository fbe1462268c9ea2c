# SPDX-License-Identifier: MIT
# The same tests and vectors with OpenSSL behind crypto.h and tls.h, which shows that these interfaces are complete.

OPENSSL_BUILD = $(BUILD)/openssl
OPENSSL_TESTS = $(if $(filter openssl,$(CRYPTO)),$(patsubst tests/openssl/%.c,$(BUILD)/unit/%,$(wildcard tests/openssl/test_*.c)))
OPENSSL_NAMES = $(notdir $(patsubst %.c,%,$(wildcard tests/openssl/test_*.c)))

tests: $(OPENSSL_TESTS)
$(OPENSSL_TESTS): $(BUILD)/unit/%: $(BUILD)/obj/tests/openssl/%.o $(TEST_OBJ) $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO))

#: make check-openssl    the unit and port tests with OpenSSL behind crypto.h and tls.h (make CRYPTO=openssl), also with
#:                       the sanitizers
CHECK_MORE += check-openssl
.PHONY: check-openssl
check-openssl:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory all tests BUILD=$(OPENSSL_BUILD) CRYPTO=openssl
	@$(MAKE) --no-print-directory tests BUILD=$(OPENSSL_BUILD)/asan CRYPTO=openssl CFLAGS='$(ASAN)'
	@BUILD=$(OPENSSL_BUILD) $(PROVE) --jobs 2 --exec tests/run.sh \
	    $(foreach build,$(OPENSSL_BUILD) $(OPENSSL_BUILD)/asan,$(addprefix $(build)/unit/,$(UNIT_NAMES) $(OPENSSL_NAMES)) \
	        $(PORT_NAMES:%=$(build)/port-tests/%))
