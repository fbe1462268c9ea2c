/* SPDX-License-Identifier: MIT */
/* What the files of this directory share and programs do not need. */
#ifndef PORT_POSIX_PRIVATE_H
#define PORT_POSIX_PRIVATE_H

#include "port/posix/posix.h"

/* Deadlines are moments of posix_monotonic_ms, so that a wait that is continued after a signal or a partial read does
 * not begin anew. */
uint64_t posix_monotonic_ms(void);
uint64_t posix_deadline(uint32_t timeout_ms);

/* Wait until fd is ready for events (POLLIN, POLLOUT) or has failed, which the next call on it will tell.
 *   interruptible  posix_interrupted ends it early, as if the time were over. Not for an answer of the TPM: only who
 *                  waits for that can flush what the command made.
 * Returns: 0; DPS_E_TIMEOUT; DPS_E_STREAM. */
int posix_wait(int fd, short events, uint64_t deadline, bool interruptible);

/* A connected, non-blocking, close-on-exec socket. Name resolution is the C library's and has its own time limit.
 * Returns: 0 and *fd; DPS_E_STREAM (posix_connect_reason says why); DPS_E_TIMEOUT. */
int posix_connect_tcp(const char *host, uint16_t port, uint64_t deadline, int *fd);
int posix_connect_unix(const char *path, uint64_t deadline, int *fd);
/* errno after a failed connect in words. */
const char *posix_connect_reason(void);

/* Take "HOST:PORT" or "[IPV6]:PORT" apart. Returns: 0; DPS_E_USAGE. */
int posix_host_port(const char *text, char *host, size_t host_size, uint16_t *port);

/* posix_file_replace for a name in an open directory. */
int posix_file_replace_at(int directory, const char *name, struct span content, unsigned mode);
/* Read fd to its end. Returns: 0; DPS_E_SPACE if there are more than capacity bytes; DPS_E_FILE. */
int posix_read_all(int fd, uint8_t *out, size_t capacity, size_t *len);

/* libtpms (tpm_libtpms.c). *fd becomes the locked state directory; close expects it back.
 * Returns: 0; DPS_E_FILE or DPS_E_TPM_TRANSPORT with a sentence in why. */
int posix_libtpms_open(const char *directory, int *fd, char *why, size_t why_size);
int posix_libtpms_transact(struct span command, uint8_t *response, size_t capacity, size_t *response_len);
void posix_libtpms_close(int fd);

#endif
