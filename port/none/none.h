/* SPDX-License-Identifier: MIT */
/* The port that provides nothing: every function answers BYTES_E_NOT_PROVIDED, the clocks 0, and there is no trace.
 *
 * It links anywhere, because it uses nothing. Begin a new port with a copy of it and replace one function after the
 * other; what is still missing says so when it is used, instead of pretending. */
#ifndef PORT_NONE_NONE_H
#define PORT_NONE_NONE_H

#include "port/port.h"

struct port port_none(void);

#endif
