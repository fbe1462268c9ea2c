/* SPDX-License-Identifier: MIT */
#include "port/bare/bare.h"

size_t port_bare_stack_used(const uint8_t *bottom, const uint8_t *top)
{
    while (bottom < top && *bottom == PORT_BARE_STACK_FILL) {
        bottom++;
    }
    return (size_t)(top - bottom);
}
