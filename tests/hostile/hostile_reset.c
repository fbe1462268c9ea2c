/* SPDX-License-Identifier: MIT */
/* A power cut of a TPM. */
#include "port/posix/private.h"
#include "tests/hostile/hostile.h"
#include "tpm/command.h"
#include "tpm/tpm2.h"
#include <stdio.h>

#define TIMEOUT_MS 10000

/* Flush all handles of one kind. What does not fit into one answer is asked for when the first are gone. */
#define FLUSH_ROUNDS_MAX 16
static int flush_all(struct posix_tpm *t, uint32_t first)
{
    for (unsigned round = 0; round < FLUSH_ROUNDS_MAX; round++) {
        uint8_t list[1024], command[32], response[64];
        size_t len;
        uint32_t rc, capability;
        bool more;
        struct bytes data;
        struct bytes_writer w = bytes_writer_over(command, sizeof command);
        tpm2_get_capability_build(&w, TPM2_CAP_HANDLES, first, 64);
        int error = posix_tpm_transact(t, bytes_written(&w), list, sizeof list, &len, TIMEOUT_MS);
        if (error == 0) {
            error = tpm2_get_capability_parse(bytes_of(list, len), &rc, &more, &capability, &data);
        }
        if (error != 0) {
            return error;
        }
        struct bytes_reader r = bytes_reader_over(data);
        for (uint32_t count = bytes_read_u32(&r); count > 0 && error == 0; count--) {
            w = bytes_writer_over(command, sizeof command);
            tpm2_flush_context_build(&w, bytes_read_u32(&r));
            error = posix_tpm_transact(t, bytes_written(&w), response, sizeof response, &len, TIMEOUT_MS);
        }
        if (error != 0 || !more) {
            return error;
        }
    }
    return 0;
}

int hostile_reset(struct posix_tpm *t)
{
    static const uint32_t kinds[] = {TPM2_HR_TRANSIENT, (uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT,
                                     (uint32_t)TPM2_HT_SAVED_SESSION << TPM2_HT_SHIFT};
    int error = 0;
    if (t->kind != POSIX_TPM_LIBTPMS) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && error == 0; i++) {
            error = flush_all(t, kinds[i]);
        }
        return error;
    }
    const struct posix_tpm_wrapper *wrapper = t->wrapper;
    char name[sizeof t->address + sizeof "libtpms:"], why[256];
    snprintf(name, sizeof name, "libtpms:%s", t->address);
    posix_tpm_close(t);
    error = posix_tpm_open(t, name, why, sizeof why);
    t->wrapper = wrapper;
    return error;
}
