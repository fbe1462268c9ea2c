# SPDX-License-Identifier: MIT
# The same tests and vectors with libcrypto behind crypto.h, which shows that this interface is complete.

OPENSSL_BUILD = $(BUILD)/openssl

#: make check-openssl    the unit and port tests with OpenSSL's libcrypto behind crypto.h (make CRYPTO=openssl)
CHECK_MORE += check-openssl
.PHONY: check-openssl
check-openssl:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory all tests BUILD=$(OPENSSL_BUILD) CRYPTO=openssl
	@BUILD=$(OPENSSL_BUILD) $(PROVE) --jobs 2 --exec tests/run.sh $(UNIT_NAMES:%=$(OPENSSL_BUILD)/unit/%) \
	    $(PORT_NAMES:%=$(OPENSSL_BUILD)/port-tests/%)
