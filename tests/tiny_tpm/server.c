/* SPDX-License-Identifier: MIT */
/* The tiny TPM as a process of its own: "swtpm:/SOCKET" of our programs. Clients come one after the other, and what one
 * has loaded is there for the next. Each write is one command, as swtpm takes it. */
#include "port/posix/posix.h"
#include "tests/tiny_tpm/tiny_tpm.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURN_MS 200 /* a signal is noticed after it at the latest */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0
               ? fd
               : -1;
}

/* Returns: whether there is something to read; false at a signal. */
static bool wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (!posix_interrupted) {
        if (poll(&p, 1, TURN_MS) > 0) {
            return true;
        }
    }
    return false;
}

static bool send_whole(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void serve(struct tiny_tpm *t, int fd)
{
    uint8_t command[TINY_BUFFER], response[TINY_BUFFER];
    while (wait_for(fd)) {
        const ssize_t n = recv(fd, command, sizeof command, 0);
        if (n <= 0 ||
            !send_whole(fd, response, tiny_tpm_execute(t, bytes_of(command, (size_t)n), response))) {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static struct tiny_tpm tpm;
    uint8_t seed[CRYPTO_SHA256_SIZE];
    const struct crypto_entropy entropy = posix_entropy();
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: tiny-tpm SOCKET [SEED]\nThe same SEED is the same TPM. It is for reading and "
                        "for tests only.\n");
        return 2;
    }
    if (argc == 2 && entropy.fill(entropy.context, seed, sizeof seed) != 0) {
        fprintf(stderr, "tiny-tpm: no random numbers\n");
        return 1;
    }
    tiny_tpm_make(&tpm, argc == 3 ? bytes_of_text(argv[2]) : bytes_of(seed, sizeof seed));
    tiny_tpm_power_on(&tpm);
    posix_catch_signals();
    const int listener = listen_at(argv[1]);
    if (listener < 0) {
        perror(argv[1]);
        return 1;
    }
    while (wait_for(listener)) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(&tpm, fd);
            (void)close(fd);
        }
    }
    (void)unlink(argv[1]);
    return 0;
}
