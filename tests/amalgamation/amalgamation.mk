# SPDX-License-Identifier: MIT
# The device side in two files, for projects that prefer two files to a library.
AMALGAMATION = $(BUILD)/tpm-dps.c $(BUILD)/tpm-dps.h
# In this order; without what nothing here needs (the service, explanations).
AMALGAMATION_SRC = crypto/bytes/bytes.c crypto/crypto_bearssl.c crypto/rsa_compact.c crypto/kdf.c \
    crypto/tls_dates.c crypto/tls_pem.c crypto/tls_trust.c crypto/tls_chain.c crypto/tls.c crypto/tls_error.c \
    tpm/public.c tpm/auth.c tpm/frame.c tpm/command.c tpm/rc.c tpm/seed.c tpm/protect.c tpm/session.c \
    $(addprefix dps/protocol/,text.c date.c json.c http_field.c http.c http_message.c registration_id.c sas.c version.c \
                              activation.c mqtt_part.c mqtt_connect.c mqtt.c) \
    $(addprefix dps/device/,authorization.c draw.c headers.c record.c restart.c session.c engine.c \
                            device.c ownership.c link_failure.c link_packet.c link_read.c link.c) port/drive.c port/link.c

#: make amalgamation     the device side as one file: build/tpm-dps.c and .h, to be compiled with BearSSL's headers
.PHONY: amalgamation
amalgamation: $(BUILD)/stage/include/crypto/bytes/names.h
	@mkdir -p $(BUILD)
	$(SAY) MAKE "$(AMALGAMATION)"
	$(Q)python3 -B tests/amalgamation/amalgamate.py $(BUILD) $< $(AMALGAMATION_SRC)

CHECK += tests/amalgamation/amalgamation_test.sh tests/amalgamation/example_test.py
CHECK_DEPENDS += amalgamation
