# SPDX-License-Identifier: MIT
# What contains the TPM that misbehaves and the interposer: dps-conformance, tests, and a dps-device of the tests.
SYSTEM_DIRS += tests/hostile
DEVICE_HOSTILE = $(BUILD)/tests/dps-device-hostile

$(BUILD)/port-tests/test_hostile $(BUILD)/port-tests/test_interposer $(CONFORMANCE): $(HOSTILE_OBJ)

tests: $(DEVICE_HOSTILE)
$(DEVICE_HOSTILE): $(BUILD)/obj/port/posix/device/dps-device.o $(HOSTILE_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $^ $(SYSTEM_LIBS)

CHECK += tests/hostile/production_test.sh
