/* SPDX-License-Identifier: MIT */
#include "tests/support/vendor_token.h"
#include "crypto/crypto.h"
#include "dps/protocol/sas.h"

void vendor_token_write(struct bytes_writer *w, const char *host, const struct dps_policy *policy,
                        uint64_t expiry)
{
    uint8_t text[128], signature[32];
    const struct bytes audience = bytes_of_text(host);
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    dps_sas_write_string_to_sign(&to_sign, audience, expiry);
    const struct bytes signed_text = bytes_written(&to_sign);
    crypto_hmac_sha256(bytes_of(policy->primary_key, policy->primary_key_len), &signed_text, 1, signature);
    dps_sas_write_token(w, audience, signature, expiry, bytes_of_text(policy->name));
}
