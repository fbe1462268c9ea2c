# SPDX-License-Identifier: MIT
# Images for boards without an operating system, and their tests in QEMU. What a board is, its own file says
# (port/BOARD/BOARD.mk): it adds to
#   FIRMWARE_BOARDS         its name
#   FIRMWARE_PACKAGES       Debian's packages of its compiler, and of the emulator for its tests
# and sets, with _BOARD after the name,
#   FIRMWARE_TOOLS          what its gcc, ar, objcopy and size begin with; or another compiler: FIRMWARE_CC
#   FIRMWARE_CFLAGS         the processor; BearSSL is compiled with it, too, but for BEARSSL_CFLAGS
#   FIRMWARE_SRC            its sources, and those of port/ that it needs beside port/bare
#   FIRMWARE_LD             its linker script
#   FIRMWARE_TARGET         the same processor for clang-tidy
# With a faults.h in its directory there is an image that tries its faults (tests/firmware/faults.c).
FIRMWARE = $(BUILD)/firmware
FIRMWARE_OPTIONS = -DDPS_WITH_SERVICE=0 -DCRYPTO_TRUST_ANCHORS_MAX=2 \
                   -DPORT_TPM_TIMEOUT_MS=200000 -DPORT_NET_TIMEOUT_MS=200000 \
                   -DPORT_BARE_MESSAGE_TIMEOUT_MS=200000
FIRMWARE_ALL_CFLAGS = -std=c11 $(WARN) -Os -g -ffunction-sections -fdata-sections -ffreestanding -fbuiltin \
                      -isystem port/bare/libc -isystem $(BEARSSL_INC) -I. $(FIRMWARE_OPTIONS)
FIRMWARE_SRC = $(filter-out tpm/tools/%,$(CORE_SRC)) port/drive.c port/link.c $(wildcard port/bare/*.c) \
               port/bare/libc/memory.c

# What the images are for. The modem, whatever it is, looks the names up.
FIRMWARE_SERVICE_HOST = dps.example
FIRMWARE_SERVICE_PORT = 443
FIRMWARE_HUB_PORT = 443
# Empty: the message goes over HTTPS, to FIRMWARE_HUB_PORT; usually 8883: over MQTT.
FIRMWARE_HUB_MQTT_PORT =
FIRMWARE_SCOPE = 0ne00000A0A
FIRMWARE_ID =
FIRMWARE_MESSAGE = {"hello":"from a board"}
FIRMWARE_CA = $(FIRMWARE)/ca.pem
#: Variables: FIRMWARE_SERVICE_HOST, _SERVICE_PORT, _HUB_PORT, _HUB_MQTT_PORT, _SCOPE, _ID, _MESSAGE, _CA (PEM): what images are for.

#: make firmware         images for the boards, into build/firmware/
.PHONY: firmware firmware-images
firmware:
	@DEPS=$(DEPS) tests/setup.sh firmware $(FIRMWARE_PACKAGES:%=+%)
	@$(MAKE) --no-print-directory firmware-images
firmware-images: $(FIRMWARE_BOARDS:%=$(FIRMWARE)/%.elf) $(FIRMWARE_BOARDS:%=$(FIRMWARE)/%.bin) \
    $(FIRMWARE_BOARDS:%=$(FIRMWARE)/%.size) $(FIRMWARE_APPLICATIONS)
	@for board in $(FIRMWARE_BOARDS); do cat $(FIRMWARE)/$$board.size; done

# Without FIRMWARE_CA: a CA of our own, for the tests.
$(FIRMWARE)/ca.pem:
	@mkdir -p $(@D)
	$(Q)openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=firmware test CA' \
	    -addext keyUsage=critical,keyCertSign,cRLSign -keyout $(FIRMWARE)/ca.key -out $@ 2>/dev/null

# Written only if it changes.
export FIRMWARE_SERVICE_HOST FIRMWARE_SERVICE_PORT FIRMWARE_HUB_PORT FIRMWARE_HUB_MQTT_PORT FIRMWARE_SCOPE FIRMWARE_ID FIRMWARE_MESSAGE
.PHONY: FORCE
# image-mqtt.c: the same over MQTT, for the tests.
$(FIRMWARE)/image-mqtt.c: FIRMWARE_HUB_MQTT_PORT = 8883
$(FIRMWARE)/image.c $(FIRMWARE)/image-mqtt.c: tests/firmware/image.sh $(FIRMWARE_CA) FORCE
	@FIRMWARE_HUB_MQTT_PORT=$(FIRMWARE_HUB_MQTT_PORT) tests/firmware/image.sh $(FIRMWARE_CA) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Otherwise what is missing would show as an error of the compiler or linker, and a copy that was not renamed not at all.
firmware_wrong = $(or $(if $(word 2,$(filter $(1),$(FIRMWARE_BOARDS))),two boards have this name), \
    $(if $(wildcard port/$(1)/$(1).mk),,there is no port/$(1)/$(1).mk), \
    $(if $(FIRMWARE_TOOLS_$(1))$(FIRMWARE_CC_$(1)),,FIRMWARE_TOOLS_$(1) is empty), \
    $(if $(FIRMWARE_SRC_$(1)),,FIRMWARE_SRC_$(1) is empty), $(if $(FIRMWARE_LD_$(1)),,FIRMWARE_LD_$(1) is empty))
$(foreach board,$(FIRMWARE_BOARDS),\
    $(if $(call firmware_wrong,$(board)),$(error Board $(board): $(strip $(call firmware_wrong,$(board))))))

define firmware_board
FIRMWARE_CC_$(1) ?= $$(FIRMWARE_TOOLS_$(1))gcc
BEARSSL_CC_$(1) ?= $$(FIRMWARE_CC_$(1))
BEARSSL_AR_$(1) ?= $$(FIRMWARE_TOOLS_$(1))ar
BEARSSL_CFLAGS_$(1) ?= $$(BEARSSL_BARE_CFLAGS) $$(FIRMWARE_CFLAGS_$(1))
$(BEARSSL)/$(1)/libbearssl.a: port/$(1)/$(1).mk
$(FIRMWARE)/$(1)/%.o: %.c port/$(1)/$(1).mk $(BEARSSL_INC)/bearssl.h
	@mkdir -p $$(@D)
	$$(SAY) CC "$$< for $(1)"
	$$(Q)$$(FIRMWARE_CC_$(1)) $$(FIRMWARE_ALL_CFLAGS) $$(FIRMWARE_CFLAGS_$(1)) -MMD -MP -c -o $$@ $$<
$(FIRMWARE)/$(1)/image.o $(FIRMWARE)/$(1)/image-mqtt.o: $(FIRMWARE)/$(1)/%.o: $(FIRMWARE)/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(FIRMWARE_CC_$(1)) $$(FIRMWARE_ALL_CFLAGS) $$(FIRMWARE_CFLAGS_$(1)) -c -o $$@ $$<
# Otherwise gcc would turn the loop in memcpy into a call of memcpy.
$(FIRMWARE)/$(1)/port/bare/libc/memory.o: FIRMWARE_ALL_CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns
$(FIRMWARE)/$(1).elf $(FIRMWARE)/$(1)-mqtt.elf: $$(FIRMWARE_LD_$(1)) \
    $$(patsubst %.c,$(FIRMWARE)/$(1)/%.o,$$(FIRMWARE_SRC) $$(FIRMWARE_SRC_$(1))) $$(BEARSSL)/$(1)/libbearssl.a
	$$(SAY) LD $$@
	$$(Q)$$(FIRMWARE_CC_$(1)) $$(FIRMWARE_CFLAGS_$(1)) -nostdlib -Wl,--gc-sections,--fatal-warnings,-Map=$$@.map \
	    -o $$@ -T $$(filter-out %.a,$$^) $$(filter %.a,$$^) -lgcc
$(FIRMWARE)/$(1).elf: $(FIRMWARE)/$(1)/image.o
$(FIRMWARE)/$(1)-mqtt.elf: $(FIRMWARE)/$(1)/image-mqtt.o
$(FIRMWARE)/$(1).bin: $(FIRMWARE)/$(1).elf
	$$(Q)$$(FIRMWARE_TOOLS_$(1))objcopy -O binary $$< $$@
$(FIRMWARE)/$(1).size: $(FIRMWARE)/$(1).elf
	$$(Q)$$(FIRMWARE_TOOLS_$(1))size $$< >$$@
# What the processor refuses. The linker drops what of the device is not needed for that.
$(FIRMWARE)/$(1)/tests/firmware/faults.o: FIRMWARE_ALL_CFLAGS += -include port/$(1)/faults.h
$(FIRMWARE)/$(1)-faults.elf: $$(FIRMWARE_LD_$(1)) $$(patsubst %.c,$(FIRMWARE)/$(1)/%.o,$$(FIRMWARE_SRC) \
    tests/firmware/faults.c $$(filter-out %/main.c,$$(FIRMWARE_SRC_$(1))))
	$$(SAY) LD $$@
	$$(Q)$$(FIRMWARE_CC_$(1)) $$(FIRMWARE_CFLAGS_$(1)) -nostdlib -Wl,--gc-sections,--fatal-warnings -o $$@ -T $$^ -lgcc
endef
$(foreach board,$(FIRMWARE_BOARDS),$(eval $(call firmware_board,$(board))))

#: make check-firmware   each image in QEMU: registers, reboots, wrong certificates, power cuts, a cleared TPM
CHECK_MORE += check-firmware
FIRMWARE_TESTS = $(wildcard tests/firmware/*_test.sh) tests/firmware/uboot_test.py
FIRMWARE_DEPENDS = all firmware-images $(FIRMWARE_BOARDS:%=$(FIRMWARE)/%-mqtt.elf) \
    $(patsubst port/%/faults.h,$(FIRMWARE)/%-faults.elf,$(wildcard $(FIRMWARE_BOARDS:%=port/%/faults.h))) $(FIRMWARE_MORE)
.PHONY: check-firmware
check-firmware:
	@DEPS=$(DEPS) tests/setup.sh build check firmware $(FIRMWARE_PACKAGES:%=+%)
	@$(MAKE) --no-print-directory $(FIRMWARE_DEPENDS)
	@BUILD=$(BUILD) $(PROVE) --jobs 2 --exec tests/run.sh $(FIRMWARE_TESTS)
	@echo "The tables of PORTING.md, with these images:"
	@BUILD=$(BUILD) IMAGES=yes $(PROVE) --exec tests/run.sh tests/size/size_test.py

-include $(shell find $(FIRMWARE) -name '*.d' 2>/dev/null)
