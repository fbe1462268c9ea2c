/* SPDX-License-Identifier: MIT */
/* The smallest port that works: port/none/none.c with every function filled in, for a machine that
 * has sockets, a file system and a clock. The TPM is a swtpm at a TCP port of the same machine.
 *
 * It is there to be read beside none.c (port/PORTING.md shows the difference) and to be copied. What a product needs
 * besides (other TPMs, proxies, traces, permissions of files) is in port/posix. */
#ifndef PORT_EXAMPLE_EXAMPLE_H
#define PORT_EXAMPLE_EXAMPLE_H

#include "port/port.h"

/* Everything that the port remembers. Sockets: negative while there is no connection. */
struct example {
    uint16_t tpm_port;  /* where swtpm listens, on 127.0.0.1 */
    const char *record; /* the file of the device's record */
    int tpm, stream;
};

/* e->tpm_port and e->record must be set, the sockets negative. e must not move. */
struct port example_port(struct example *e);

#endif
