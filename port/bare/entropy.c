/* SPDX-License-Identifier: MIT */
#include "port/bare/bare.h"
#include "tpm/command.h"

#define FRESH 32

/* What the TPM gives is mixed into the generator's state, so that neither a TPM with a weak generator nor a repeated
 * boot alone decides what comes out. */
static int fill(void *context, uint8_t *out, size_t len)
{
    struct port_bare_entropy *entropy = context;
    uint8_t command[16];
    uint8_t response[64];
    struct bytes answer;
    struct bytes random = {NULL, 0};
    uint32_t rc;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_get_random_build(&w, FRESH);
    int error =
        port_tpm_ask(entropy->port, 0, "random bytes", bytes_written(&w), response, sizeof response, &answer);
    if (error == 0) {
        error = tpm2_get_random_parse(answer, &rc, &random);
    }
    if (error == 0 && random.len >= FRESH) {
        crypto_drbg_update(&entropy->drbg, random);
        crypto_drbg_generate(&entropy->drbg, out, len);
    } else {
        error = BYTES_E_ENTROPY;
    }
    bytes_wipe(response, sizeof response);
    return error;
}

struct crypto_entropy port_bare_entropy(struct port_bare_entropy *context, struct port *port,
                                        struct bytes personality)
{
    context->port = port;
    crypto_drbg_init(&context->drbg, personality);
    return (struct crypto_entropy){.context = context, .fill = fill};
}
