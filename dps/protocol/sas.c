/* SPDX-License-Identifier: MIT */
#include "dps/protocol/sas.h"
#include "crypto/crypto.h"
#include "dps/protocol/text.h"

static const char scheme[] = "SharedAccessSignature ";

void dps_sas_write_string_to_sign(struct bytes_writer *w, struct bytes sr, uint64_t expiry)
{
    bytes_write_bytes(w, sr);
    dps_write_text(w, "\n");
    dps_write_decimal(w, expiry);
}

static void write_signature(struct bytes_writer *w, const uint8_t signature[32])
{
    uint8_t base64[44];
    struct bytes_writer text = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&text, bytes_of(signature, 32));
    /*@ assert text.error == 0 && text.len == 44; */
    dps_write_percent(w, bytes_written(&text));
}

void dps_sas_write_token(struct bytes_writer *w, struct bytes sr, const uint8_t signature[32],
                         uint64_t expiry, struct bytes key_name)
{
    dps_write_text(w, scheme);
    dps_write_text(w, "sr=");
    bytes_write_bytes(w, sr);
    dps_write_text(w, "&sig=");
    write_signature(w, signature);
    dps_write_text(w, "&se=");
    dps_write_decimal(w, expiry);
    if (key_name.len > 0) {
        dps_write_text(w, "&skn=");
        dps_write_percent(w, key_name);
    }
}

/* sig is percent-encoded base64 of 32 bytes. Clients differ in the case of the hex digits and in what they encode. */
static int parse_signature(struct bytes text, uint8_t signature[32])
{
    uint8_t base64[64];
    uint8_t bytes[32];
    size_t len;
    int error = dps_percent_decode(text, false, base64, sizeof base64, &len);
    if (error == 0) {
        error = dps_base64_decode(bytes_of(base64, len), bytes, sizeof bytes, &len);
    }
    if (error != 0 || len != sizeof bytes) {
        return BYTES_E_FORMAT;
    }
    /*@ loop invariant i <= 32;
        loop assigns i, signature[0 .. 31];
        loop variant 32 - i; */
    for (size_t i = 0; i < sizeof bytes; i++) {
        signature[i] = bytes[i];
    }
    return 0;
}

/* Which member of the token a name means, or null for one that we do not know. */
static struct bytes *member_for(struct bytes name, struct bytes *sr, struct bytes *sig, struct bytes *se,
                                struct bytes *skn)
{
    if (bytes_equal_public(name, bytes_of_text("sr"))) {
        return sr;
    }
    if (bytes_equal_public(name, bytes_of_text("sig"))) {
        return sig;
    }
    if (bytes_equal_public(name, bytes_of_text("se"))) {
        return se;
    }
    return bytes_equal_public(name, bytes_of_text("skn")) ? skn : NULL;
}

int dps_sas_parse(struct bytes header, struct dps_sas *sas)
{
    const size_t prefix = sizeof scheme - 1;
    struct bytes sig = {NULL, 0};
    *sas = (struct dps_sas){.sr = {NULL, 0}};
    if (header.len < prefix || !dps_text_equal_nocase(bytes_of(header.p, prefix), bytes_of(scheme, prefix))) {
        return BYTES_E_FORMAT;
    }
    struct bytes rest = bytes_of(header.p + prefix, header.len - prefix);
    /*@ loop invariant inside(rest, header) && inside(sig, header);
        loop invariant inside(sas->sr, header) && inside(sas->se, header) && inside(sas->skn, header);
        loop assigns rest, sig, sas->sr, sas->se, sas->skn;
        loop variant rest.len; */
    while (rest.len > 0) {
        struct bytes pair;
        struct bytes name;
        rest = dps_split(rest, '&', &pair);
        const struct bytes value = dps_split(pair, '=', &name);
        struct bytes *member = member_for(name, &sas->sr, &sig, &sas->se, &sas->skn);
        if (member != NULL) {
            if (member->p != NULL || value.p == NULL) {
                return BYTES_E_FORMAT; /* twice, or without its '=' */
            }
            *member = value;
        }
    }
    if (sas->sr.len == 0 || sig.len == 0 || dps_decimal_parse(sas->se, INT64_MAX, &sas->expiry) != 0) {
        return BYTES_E_FORMAT;
    }
    return parse_signature(sig, sas->signature);
}

bool dps_sas_signed_with(const struct dps_sas *sas, struct bytes key)
{
    const struct bytes text[3] = {sas->sr, bytes_of("\n", 1), sas->se};
    uint8_t mac[CRYPTO_SHA256_SIZE];
    crypto_hmac_sha256(key, text, 3, mac);
    const bool same = bytes_equal_secret(mac, sas->signature, sizeof mac);
    bytes_wipe(mac, sizeof mac);
    return same;
}

#define SR_MAX 512

static bool decodes_to(struct bytes sr, bool plus_is_space, struct bytes audience)
{
    uint8_t decoded[SR_MAX];
    size_t len;
    if (dps_percent_decode(sr, plus_is_space, decoded, sizeof decoded, &len) != 0) {
        return false;
    }
    if (dps_text_equal_nocase(bytes_of(decoded, len), audience)) {
        return true;
    }
    /* Microsoft's C# hub client encodes the deviceId, and then the whole audience again. */
    return dps_percent_decode(bytes_of(decoded, len), plus_is_space, decoded, sizeof decoded, &len) == 0 &&
           dps_text_equal_nocase(bytes_of(decoded, len), audience);
}

/* The C hub client encodes nothing, and a deviceId may contain '+' and '%': so sr may also be meant literally.
 * Accepting every reading gives nothing away, since the audience was signed with this one device's key. */
bool dps_sas_audience_is(const struct dps_sas *sas, struct bytes audience)
{
    const bool plain = sas->sr.len <= SR_MAX && dps_text_equal_nocase(sas->sr, audience);
    return plain || decodes_to(sas->sr, false, audience) || decodes_to(sas->sr, true, audience);
}
