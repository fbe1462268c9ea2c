/* SPDX-License-Identifier: MIT */
/* explain: whatever the input is, its leaves cover every byte exactly once, in order, and containers contain them.
 * Input: one byte, what it is; of a response one more, the place of its command in response_kinds; the bytes. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/responses.h"
#include "tpm/tools/explain.h"
#include <string.h>

#define DEPTH_MAX 32

struct coverage {
    size_t covered;        /* by leaves so far */
    size_t end[DEPTH_MAX]; /* of the containers that are open */
    size_t input_len;
    bool unparsed;
};

static void take(void *context, const struct tpm2_field *field)
{
    struct coverage *c = context;
    HOLDS(field->name != NULL && field->depth < DEPTH_MAX);
    HOLDS(field->offset == c->covered && field->len <= c->input_len - field->offset);
    HOLDS(field->depth == 0 || field->offset + field->len <= c->end[field->depth - 1]);
    c->end[field->depth] = field->offset + field->len;
    const bool container = field->kind == TPM2_FIELD_STRUCTURE || field->kind == TPM2_FIELD_BUFFER;
    HOLDS(field->leaf != container);
    if (field->leaf) {
        HOLDS(field->kind == TPM2_FIELD_INTEGER ? field->len <= 8 : true);
        c->covered += field->len;
    }
    c->unparsed = c->unparsed || field->kind == TPM2_FIELD_UNPARSED;
    HOLDS(field->bits == NULL || field->kind == TPM2_FIELD_INTEGER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    const uint8_t what = fuzz_byte(&input) % 4;
    const struct response_kind *kind = NULL;
    struct coverage c;
    int error = 0;
    memset(&c, 0, sizeof c);
    if (what == 1) {
        kind = &response_kinds[fuzz_byte(&input) % response_kinds_count];
    }
    c.input_len = input.len;
    switch (what) {
    case 0:
        error = tpm2_explain_command(input, take, &c);
        (void)tpm2_explain_command_name(tpm2_explain_command_code(input));
        break;
    case 1:
        error = tpm2_explain_response(kind->command_code, input, take, &c);
        break;
    case 2:
        error = tpm2_explain_public(input, take, &c);
        break;
    default:
        error = tpm2_explain_activation_blob(input, take, &c);
        break;
    }
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
    HOLDS(c.covered == input.len);
    HOLDS(error != 0 || !c.unparsed || what == 3);
    return 0;
}
