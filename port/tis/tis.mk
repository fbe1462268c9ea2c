# SPDX-License-Identifier: MIT
# Boards compile what they need of this directory; here its tests need all of it.
PORT_TEST_OBJ += $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard port/tis/*.c))
