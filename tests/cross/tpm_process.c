/* SPDX-License-Identifier: MIT */
/* "libtpms:DIR" where there is no libtpms for the processor: a swtpm of this machine, started for it, with its state in
 * DIR and one end of a socket pair. Closing the pair is the power switch: swtpm then ends. In place of
 * port/posix/tpm_libtpms.c. */
#include "port/posix/private.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRANSACT_TIMEOUT_MS 60000
/* Up to and with the size field: tag and responseSize [P1 r1.59 18]. */
#define SIZE_END 6

/* As tpm_libtpms.c has one TPM per process. -1: not open. */
static int connection = -1;
static pid_t tpm_process;

static void become_tpm(const char *directory, int fd)
{
    char state[600], log[600], number[16];
    snprintf(state, sizeof state, "dir=%s", directory);
    snprintf(log, sizeof log, "file=%s/log", directory);
    snprintf(number, sizeof number, "%d", fd);
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--fd", number, "--flags",
           "not-need-init", "--log", log, (char *)NULL);
    perror("swtpm");
    _exit(127);
}

int posix_libtpms_open(const char *directory, int *fd, char *why, size_t why_size)
{
    int pair[2];
    if (connection >= 0) {
        snprintf(why, why_size, "a TPM is open already: there can be one in a process");
        return BYTES_E_TPM_TRANSPORT;
    }
    if ((mkdir(directory, 0700) != 0 && errno != EEXIST) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        snprintf(why, why_size, "cannot prepare a TPM in %s: %s", directory, strerror(errno));
        return BYTES_E_FILE;
    }
    fflush(stdout); /* or the child prints it again */
    tpm_process = fork();
    if (tpm_process == 0) {
        (void)close(pair[0]);
        become_tpm(directory, pair[1]);
    }
    (void)close(pair[1]);
    (void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    *fd = connection = pair[0];
    return 0;
}

static int receive(uint8_t *out, size_t len, uint64_t deadline)
{
    while (len > 0) {
        const int error = posix_wait(connection, POLLIN, deadline, false);
        if (error != 0) {
            return error == BYTES_E_TIMEOUT ? error : BYTES_E_TPM_TRANSPORT;
        }
        const ssize_t n = read(connection, out, len);
        if (n <= 0) {
            return BYTES_E_TPM_TRANSPORT;
        }
        out += n;
        len -= (size_t)n;
    }
    return 0;
}

int posix_libtpms_transact(struct bytes command, uint8_t *response, size_t capacity, size_t *response_len)
{
    const uint64_t deadline = posix_deadline(TRANSACT_TIMEOUT_MS);
    bool bad;
    if (send(connection, command.p, command.len, MSG_NOSIGNAL) != (ssize_t)command.len ||
        capacity < SIZE_END) {
        return BYTES_E_TPM_TRANSPORT;
    }
    int error = receive(response, SIZE_END, deadline);
    if (error != 0) {
        return error;
    }
    const size_t size = tpm2_response_size(bytes_of(response, SIZE_END), 4096, &bad);
    if (size == 0) {
        return BYTES_E_FORMAT;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    error = receive(response + SIZE_END, size - SIZE_END, deadline);
    *response_len = error == 0 ? size : 0;
    return error;
}

void posix_libtpms_close(int fd)
{
    (void)close(fd);
    (void)waitpid(tpm_process, NULL, 0);
    connection = -1;
}
