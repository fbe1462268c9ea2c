/* SPDX-License-Identifier: MIT */
/* Shared access signatures: "SharedAccessSignature sr=<audience>&sig=<signature>&se=<expiry>[&skn=<key name>]".
 *
 * The signed text is the sr value exactly as it stands in the token, LF, and se. So the API is split: the
 * string to sign first, the token when a TPM (or software) has signed it. */
#ifndef DPS_PROTOCOL_SAS_H
#define DPS_PROTOCOL_SAS_H

#include "crypto/bytes/bytes.h"

/* Append the string to sign: sr LF se. sr is already percent-encoded as it will stand in the token. */
void dps_sas_write_string_to_sign(struct bytes_writer *w, struct bytes sr, uint64_t expiry);
/* Append a whole token. key_name empty: no skn. */
void dps_sas_write_token(struct bytes_writer *w, struct bytes sr, const uint8_t signature[32],
                         uint64_t expiry, struct bytes key_name);

struct dps_sas {
    struct bytes sr;  /* as it stands in the token */
    struct bytes se;  /* likewise */
    struct bytes skn; /* likewise; empty if absent or empty */
    uint64_t expiry;
    uint8_t signature[32];
};

/* Take the value of an Authorization header apart. Pairs may stand in any order; sr, sig and se are required,
 * none may be doubled, others are ignored.
 * Returns: 0; BYTES_E_FORMAT. */
int dps_sas_parse(struct bytes header, struct dps_sas *sas);

/* Is it signed with this key? Constant time. */
bool dps_sas_signed_with(const struct dps_sas *sas, struct bytes key);

/* Does sr name this audience, as it stands or percent-decoded (once, or twice as one client does), without case? */
bool dps_sas_audience_is(const struct dps_sas *sas, struct bytes audience);

#endif
