/* SPDX-License-Identifier: MIT */
/* The TPM's answer to each command. Input: one byte, the place of the command in response_kinds; the response. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/responses.h"
#include "tpm/frame.h"
#include "tpm/rc.h"

/* What tpm/command.h promises of all parse functions. */
static void check(struct bytes bytes, const struct response *r)
{
    HOLDS(r->error == 0 || r->error == BYTES_E_FORMAT || r->error == BYTES_E_ALGORITHM ||
          r->error == BYTES_E_TPM_RC);
    HOLDS((r->rc != 0) == (r->error == BYTES_E_TPM_RC));
    for (size_t i = 0; i < RESPONSE_SPANS; i++) {
        HOLDS(fuzz_views(r->spans[i], bytes));
        HOLDS(r->error == 0 || (r->spans[i].len == 0 && r->numbers[i] == 0));
    }
}

/* The announced size is known from the first 6 bytes on, and does not change with what follows. */
static void check_size(struct bytes bytes)
{
    bool bad = false;
    const size_t size = tpm2_response_size(bytes, 1024, &bad);
    HOLDS(size == 0 || (!bad && size >= 10 && size <= 1024));
    for (size_t len = 0; len <= 6 && len <= bytes.len; len++) {
        bool early_bad = false;
        const size_t early = tpm2_response_size(bytes_of(bytes.p, len), 1024, &early_bad);
        HOLDS(len < 6 ? early == 0 && !early_bad : early == size && early_bad == bad);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    const struct response_kind *kind = &response_kinds[fuzz_byte(&input) % response_kinds_count];
    /* Out-parameters are set whatever they were. */
    struct response r = {.rc = 1, .handle = 1, .numbers = {0, 0}};
    r.spans[0] = r.spans[1] = bytes_of(NULL, 0);
    kind->parse(input, &r);
    check(input, &r);
    check_size(input);
    (void)tpm2_rc_decode(r.rc);
    HOLDS(r.error != 0 || input.len >= 10);
    return 0;
}
