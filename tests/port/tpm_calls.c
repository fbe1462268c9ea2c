/* SPDX-License-Identifier: MIT */
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <stdio.h>
#include <unistd.h>

char tpm_call_why[512];

int tpm_call_open(struct posix_tpm *t, const char *name)
{
    tpm_call_why[0] = 0;
    return posix_tpm_open(t, name, tpm_call_why, sizeof tpm_call_why);
}

static struct bytes get_random(uint8_t command[16])
{
    struct bytes_writer w = bytes_writer_over(command, 16);
    tpm2_get_random_build(&w, 8);
    return bytes_written(&w);
}

int tpm_call_random_within(struct posix_tpm *t, uint32_t timeout_ms, size_t capacity)
{
    uint8_t command[16], response[64];
    size_t len;
    uint32_t rc;
    struct bytes random;
    struct port_tpm p = posix_tpm_port(t);
    int error = p.transact(p.context, get_random(command), response, capacity, &len, timeout_ms);
    if (error != 0) {
        return len == 0 ? error : BYTES_E_USAGE; /* no length beside an error */
    }
    error = tpm2_get_random_parse(bytes_of(response, len), &rc, &random);
    return error == 0 && random.len != 8 ? BYTES_E_FORMAT : error;
}

int tpm_call_random(struct posix_tpm *t)
{
    return tpm_call_random_within(t, TPM_CALL_TIMEOUT_MS, 64);
}

const char *tpm_call_name(const char *kind, uint16_t port)
{
    static char name[64];
    snprintf(name, sizeof name, "%s:127.0.0.1:%u", kind, (unsigned)port);
    return name;
}

int tpm_call_listen_pair(uint16_t *port, int *tpm, int *platform)
{
    uint16_t ignored;
    for (int i = 0; i < 100; i++) {
        *tpm = support_listen(0, port);
        *platform = *port < 65535 ? support_listen((uint16_t)(*port + 1), &ignored) : -1;
        if (*platform >= 0) {
            return 0;
        }
        (void)close(*tpm);
    }
    return BYTES_E_STREAM;
}

static const uint8_t zero[4];
const struct support_step tpm_call_platform[TPM_CALL_PLATFORM_STEPS] = {{zero, 4, false, false},
                                                                        {zero, 4, false, false}};
