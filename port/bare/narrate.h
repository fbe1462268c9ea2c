/* SPDX-License-Identifier: MIT */
/* What a board prints on its console, for run.c. */
#ifndef PORT_BARE_NARRATE_H
#define PORT_BARE_NARRATE_H

#include "port/bare/bare.h"

/* The first line; a step that asks the TPM or the network; what was assigned; why the kept record is not used; how long
 * the device waits; the last line with the counts. */
void port_bare_narrate_begin(const struct port_bare_run *run);
void port_bare_narrate_step(const struct port_bare_run *run, unsigned step, const char *what);
void port_bare_narrate_registered(const struct port_bare_run *run);
void port_bare_narrate_record(const struct port_bare_run *run, int error);
void port_bare_narrate_wait(const struct port_bare_run *run, uint32_t ms);
void port_bare_narrate_end(const struct port_bare_run *run);

/* What went wrong and what to do. Returns: the exit status that port_bare_run documents. */
int port_bare_narrate_trust(const struct port_bare_run *run);
int port_bare_narrate_error(const struct port_bare_run *run, int error);

#endif
