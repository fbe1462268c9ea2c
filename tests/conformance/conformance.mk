# SPDX-License-Identifier: MIT
# dps-conformance: built by make like the other programs.
SYSTEM_DIRS += tests/conformance
CONFORMANCE = $(BUILD)/dps-conformance
CONFORMANCE_SRC = $(filter-out tests/conformance/spoil_%,$(wildcard tests/conformance/*.c)) \
                  tests/conformance/spoil_$(CRYPTO).c
CONFORMANCE_OBJ = $(CONFORMANCE_SRC:%.c=$(BUILD)/obj/%.o) \
                  $(BUILD)/obj/tests/vectors/activation_blob.o

all: $(CONFORMANCE)

$(CONFORMANCE): $(CONFORMANCE_OBJ) $(PORT_LIBS)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $(filter %.o,$^) $(PORT_LIBS) $(SYSTEM_LIBS)

#: make conformance TPM=... [SERVICE=https://... CA=FILE] [DEVICE_LISTEN=ADDR:PORT] [ARGS=...]
#:                       check a TPM, a service, a device client; ARGS: more options, or ids (see dps-conformance --help)
.PHONY: conformance
conformance: $(CONFORMANCE)
	$(Q)$(CONFORMANCE) $(if $(TPM),--tpm '$(TPM)') $(if $(SERVICE),--service '$(SERVICE)') $(if $(CA),--ca '$(CA)') \
	    $(if $(DEVICE_LISTEN),--device-listen '$(DEVICE_LISTEN)') $(ARGS)

#: make requirements     write tests/conformance/REQUIREMENTS.md again
.PHONY: requirements
requirements: $(CONFORMANCE)
	$(Q)sh tests/lint/requirements.sh $(BUILD) --write

#: make check-clients    every wrong device client that dps-conformance has to catch (make check takes every sixth)
CHECK_MORE += check-clients
.PHONY: check-clients
check-clients:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) CONFORMANCE_CLIENTS=all $(PROVE) --exec tests/run.sh tests/e2e/conformance_device_test.py
