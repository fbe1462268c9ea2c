/* SPDX-License-Identifier: MIT */
/* What the files of this directory share and programs do not need. */
#ifndef PORT_POSIX_PRIVATE_H
#define PORT_POSIX_PRIVATE_H

#include "port/posix/posix.h"

/* Deadlines are moments of posix_monotonic_ms, so that a wait that is continued after a signal or a partial read does
 * not start from zero. */
uint64_t posix_monotonic_ms(void);
uint64_t posix_deadline(uint32_t timeout_ms);

/* Wait until fd is ready for events (POLLIN, POLLOUT) or has failed, which the next call on it will tell.
 *   interruptible  posix_interrupted ends it early, as if the time were over. Not for an answer of the TPM: only a
 *                  caller that waits for it can flush what the command made.
 * Returns: 0; BYTES_E_TIMEOUT; BYTES_E_STREAM. */
int posix_wait(int fd, short events, uint64_t deadline, bool interruptible);

/* A connected, non-blocking, close-on-exec socket. Name resolution is the C library's and has its own time limit.
 * Returns: 0 and *fd; BYTES_E_STREAM or BYTES_E_TIMEOUT, errno says why: below 0 an EAI_ of getaddrinfo. */
int posix_connect_tcp(const char *host, uint16_t port, uint64_t deadline, int *fd);
int posix_connect_unix(const char *path, uint64_t deadline, int *fd);
/* A listening socket of the same kind. *port becomes the real one: 0 asks for any that is free.
 * Returns: 0 and *fd; BYTES_E_STREAM, errno likewise. */
int posix_listen_tcp(const char *host, uint16_t *port, int *fd);
/* errno after one of these has failed, and only then, in words. */
const char *posix_connect_reason(int cause);
/* The same of a listener, and what to do: a sentence without a stop. Returns text. */
const char *posix_listen_error(int cause, char *text, size_t text_size);
/* What to do about BearSSL's error of a TLS client, without a stop. */
const char *posix_tls_advice(int error);

/* Take "HOST:PORT" or "[IPV6]:PORT" apart. To listen, the port may be 0. Returns: 0; BYTES_E_USAGE. */
int posix_listen_address(const char *text, char *host, size_t host_size, uint16_t *port);
int posix_host_port(const char *text, char *host, size_t host_size, uint16_t *port);

/* posix_file_replace for a name in an open directory. */
int posix_file_replace_at(int directory, const char *name, struct bytes content, unsigned mode);
/* Read fd to its end. Returns: 0; BYTES_E_SPACE if there are more than capacity bytes; BYTES_E_FILE. */
int posix_read_all(int fd, uint8_t *out, size_t capacity, size_t *len);

/* libtpms (tpm_libtpms.c). *fd becomes the locked state directory; close expects it back.
 * Returns: 0; BYTES_E_FILE or BYTES_E_TPM_TRANSPORT with a sentence in why. */
int posix_libtpms_open(const char *directory, int *fd, char *why, size_t why_size);
int posix_libtpms_transact(struct bytes command, uint8_t *response, size_t capacity, size_t *response_len);
void posix_libtpms_close(int fd);

/* The TPM inside of its wrapper, if it has one (tpm.c). */
int posix_tpm_transact(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                       size_t *response_len, uint32_t timeout_ms);
/* Does what listens at the same place answer a command in the protocol of another kind, mssim or swtpm over TCP? */
bool posix_tpm_speaks(const struct posix_tpm *t, enum posix_tpm_kind kind);
/* Which TPM is meant (tpm_name.c): sets kind, address, port and wrapper; *name becomes that of the TPM inside.
 * Returns: 0; BYTES_E_USAGE with a sentence in why. */
int posix_tpm_named(struct posix_tpm *t, const char **name, char *why, size_t why_size);
/* Linux has two devices for one TPM: /dev/tpmN is for one program at a time, /dev/tpmrmN, behind the kernel's resource
 * manager, for any number. The name of the other one; false if path is neither. */
bool posix_tpm_other_device(const char *path, char *other, size_t size);
/* Why the TPM that the user called name could not be opened, and what to do (tpm_error.c). rc: of TPM2_Startup, or
 * 0. */
void posix_tpm_explain(const struct posix_tpm *t, const char *name, int error, uint32_t rc, char *why,
                       size_t why_size);
/* The transport breaks off: the next command connects anew. libtpms has nothing to break. */
void posix_tpm_break(struct posix_tpm *t);

#endif
