/* SPDX-License-Identifier: MIT */
/* The TPM of a board: over a serial line, and what has to happen at boot. */
#include "port/bare/bare.h"
#include "tpm/command.h"
#include "tpm/rc.h"

#define HEADER_SIZE 10

static int transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    const struct port_bare_tpm *tpm = context;
    *response_len = 0;
    if (capacity < HEADER_SIZE) {
        return BYTES_E_SPACE;
    }
    uint64_t end = port_bare_moment(tpm->clock, timeout_ms, UINT64_MAX);
    port_bare_drain(&tpm->uart);
    int error = port_bare_send(&tpm->uart, tpm->clock, command, end);
    /* The TPM works before its first byte, so that one may take long. */
    if (error == 0) {
        error = port_bare_receive(&tpm->uart, tpm->clock, response, 1, end);
    }
    if (error == 0) {
        end = port_bare_moment(tpm->clock, PORT_BARE_MESSAGE_TIMEOUT_MS, end);
        error = port_bare_receive(&tpm->uart, tpm->clock, response + 1, HEADER_SIZE - 1, end);
    }
    if (error != 0) {
        return error;
    }
    struct bytes_reader r = bytes_reader_over(bytes_of(response, HEADER_SIZE));
    (void)bytes_read_u16(&r); /* tag */
    const uint32_t size = bytes_read_u32(&r);
    if (size < HEADER_SIZE) {
        return BYTES_E_FORMAT;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    error = port_bare_receive(&tpm->uart, tpm->clock, response + HEADER_SIZE, size - HEADER_SIZE, end);
    *response_len = error == 0 ? size : 0;
    return error;
}

struct port_tpm port_bare_tpm(struct port_bare_tpm *context)
{
    return (struct port_tpm){.context = context, .transact = transact};
}

int port_bare_tpm_startup(struct port *port, uint32_t *rc)
{
    uint8_t command[16];
    uint8_t response[32];
    struct bytes answer;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    *rc = 0;
    tpm2_startup_build(&w, TPM2_SU_CLEAR);
    int error = port_tpm_ask(port, 0, "TPM2_Startup", bytes_written(&w), response, sizeof response, &answer);
    if (error == 0) {
        error = tpm2_startup_parse(answer, rc);
    }
    if (error == BYTES_E_TPM_RC && tpm2_rc_code(*rc) == TPM2_RC_INITIALIZE) {
        *rc = 0;
        error = 0;
    }
    return error;
}
