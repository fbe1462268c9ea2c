/* SPDX-License-Identifier: MIT */
/* "libtpms:DIR" of the tests, with the tiny TPM in it: in place of port/posix/tpm_libtpms.c. Each DIR is another TPM,
 * as it is with libtpms, until the process ends or eight newer ones have come. */
#include "port/posix/private.h"
#include "tests/tiny_tpm/tiny_tpm.h"
#include <stdio.h>
#include <string.h>

#define TPMS 8

static struct {
    char directory[256];
    struct tiny_tpm tpm;
} all[TPMS];
static size_t next; /* the place of the next new one: the oldest is forgotten */
static struct tiny_tpm *open_one;

int posix_libtpms_open(const char *directory, int *fd, char *why, size_t why_size)
{
    if (open_one != NULL) {
        snprintf(why, why_size, "a TPM is open already: there can be one in a process");
        return BYTES_E_TPM_TRANSPORT;
    }
    for (size_t i = 0; i < TPMS && open_one == NULL; i++) {
        open_one = strcmp(all[i].directory, directory) == 0 ? &all[i].tpm : NULL;
    }
    if (open_one == NULL) {
        snprintf(all[next].directory, sizeof all[next].directory, "%s", directory);
        open_one = &all[next].tpm;
        tiny_tpm_make(open_one, bytes_of_text(directory));
        next = (next + 1) % TPMS;
    }
    tiny_tpm_power_on(open_one);
    *fd = 0;
    return 0;
}

int posix_libtpms_transact(struct bytes command, uint8_t *response, size_t capacity, size_t *response_len)
{
    uint8_t whole[TINY_BUFFER];
    const size_t len = tiny_tpm_execute(open_one, command, whole);
    if (len > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(response, whole, len);
    *response_len = len;
    return 0;
}

void posix_libtpms_close(int fd)
{
    (void)fd;
    open_one = NULL;
}
