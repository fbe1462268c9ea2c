/* SPDX-License-Identifier: MIT */
/* Shared access signatures: what is read from a token makes a token that reads the same. */
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* How often a pair of this name stands in the token. */
static unsigned occurrences(struct bytes header, const char *name)
{
    struct bytes pair;
    struct bytes key;
    unsigned count = 0;
    (void)dps_split(header, ' ', &pair);
    for (struct bytes rest = bytes_of(pair.p + pair.len + 1, header.len - pair.len - 1); rest.len > 0;) {
        rest = dps_split(rest, '&', &pair);
        (void)dps_split(pair, '=', &key);
        count += bytes_equal_public(key, bytes_of_text(name));
    }
    return count;
}

static void check_round_trip(const struct dps_sas *sas)
{
    const size_t capacity = sas->sr.len + 3 * sas->skn.len + 256;
    uint8_t *token = malloc(capacity);
    uint8_t *name = malloc(capacity);
    HOLDS(token != NULL && name != NULL);
    struct bytes_writer w = bytes_writer_over(token, capacity);
    struct dps_sas again;
    size_t len = 0;
    dps_sas_write_token(&w, sas->sr, sas->signature, sas->expiry, sas->skn);
    HOLDS(w.error == 0 && dps_sas_parse(bytes_written(&w), &again) == 0);
    HOLDS(bytes_equal_public(again.sr, sas->sr) && again.expiry == sas->expiry);
    HOLDS(memcmp(again.signature, sas->signature, sizeof again.signature) == 0);
    /* Writing encodes the name. A zero in it is what decoding refuses. */
    if (dps_percent_decode(again.skn, false, name, capacity, &len) == 0) {
        HOLDS(bytes_equal_public(bytes_of(name, len), sas->skn));
    } else {
        HOLDS(memchr(sas->skn.p, 0, sas->skn.len) != NULL);
    }
    free(token);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[32] = {1};
    const struct bytes header = bytes_of(data, size);
    struct dps_sas sas;
    const int error = dps_sas_parse(header, &sas);
    HOLDS(error == 0 || error == BYTES_E_FORMAT);
    if (error != 0) {
        return 0;
    }
    HOLDS(fuzz_views(sas.sr, header) && fuzz_views(sas.se, header) && fuzz_views(sas.skn, header));
    HOLDS(sas.sr.len > 0 && sas.se.len > 0);
    HOLDS(occurrences(header, "sr") == 1 && occurrences(header, "sig") == 1 &&
          occurrences(header, "se") == 1);
    HOLDS(occurrences(header, "skn") <= 1);
    check_round_trip(&sas);
    (void)dps_sas_signed_with(&sas, bytes_of(key, sizeof key));
    (void)dps_sas_audience_is(&sas, bytes_of_text("0ne00000A0A/registrations/device-1"));
    return 0;
}
