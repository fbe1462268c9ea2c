/* SPDX-License-Identifier: MIT */
/* What the tests of the port share: a temporary directory, local listeners, and peers that misbehave on purpose. */
#ifndef TESTS_PORT_SUPPORT_H
#define TESTS_PORT_SUPPORT_H

#include "crypto/bytes/bytes.h"
#include <sys/types.h>

/* The path of name in a directory of this run, which is removed at exit. Up to 8 paths stay valid at a time. */
const char *support_path(const char *name);

/* A listener on 127.0.0.1 and its port, at the port wanted or (0) at any. Returns -1 if it is taken. */
int support_listen(uint16_t wanted, uint16_t *port);
/* A port of 127.0.0.1 on which nobody listens. */
uint16_t support_free_port(void);

/* fork; the child is killed when the test fails or dies. */
pid_t support_fork(void);

/* A process that serves one connection of listener: for each step it waits until it has received something (unless
 * unasked), sends answer, and goes on. After the last step it closes, or stays silent until it is ended. */
struct support_step {
    const void *answer;
    size_t len;
    bool unasked;
    bool bytewise; /* one write for each byte, with pauses */
};
pid_t support_peer(int listener, const struct support_step *steps, size_t count, bool then_silent);
/* End a child process and wait for it. */
void support_end(pid_t child);

#endif
