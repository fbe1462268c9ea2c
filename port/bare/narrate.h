/* SPDX-License-Identifier: MIT */
/* What run.c has for mqtt.c; and what a board prints on its console. */
#ifndef PORT_BARE_NARRATE_H
#define PORT_BARE_NARRATE_H

#include "port/bare/bare.h"

/* Run a flow of the kept record: dps_device_token or dps_device_send. Returns: its error. */
typedef int port_bare_beginning(struct dps_device *d, const struct dps_device_config *config,
                                const uint8_t seed[32], struct bytes record);
int port_bare_kept(struct port_bare_run *run, port_bare_beginning *begin);

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
