# SPDX-License-Identifier: MIT
# What boards share is also built and tested on the host.
PORT_TEST_OBJ += $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard port/bare/*.c))
