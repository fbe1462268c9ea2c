/* SPDX-License-Identifier: MIT */
/* A poll() loop around example_turn, with a thread as the worker. */
#ifndef PORT_EXAMPLE_LOOP_H
#define PORT_EXAMPLE_LOOP_H

#include "port/example/example.h"
#include "port/example/turn.h"

/* Run what t->device has begun. A product's loop has other things to poll for: they go where the comment says.
 * Returns: 0; the engine's error; BYTES_E_USAGE if there is no thread or pipe to be had. */
int example_loop(struct example *e, struct example_turn *t);

#endif
