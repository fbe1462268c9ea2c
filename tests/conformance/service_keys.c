/* SPDX-License-Identifier: MIT */
/* RSA keys in software, with the public areas that a TPM would give them. The service cannot tell the difference: that
 * a key is in a TPM is guaranteed by the vendor (the EK) and enforced by ActivateCredential (the SRK). */
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

static void make(struct service_key *key, const char *seed)
{
    br_hmac_drbg_context random;
    br_rsa_private_key private_key;
    br_rsa_public_key public_key;
    uint8_t public_storage[BR_RSA_KBUF_PUB_SIZE(2048)];
    br_hmac_drbg_init(&random, &br_sha256_vtable, seed, strlen(seed));
    key->made = br_rsa_keygen_get_default()(&random.vtable, &private_key, key->storage, &public_key,
                                            public_storage, 2048, 65537) == 1 &&
                public_key.nlen == sizeof key->modulus;
    if (key->made) {
        memcpy(key->modulus, public_key.n, sizeof key->modulus);
        key->rsa = (struct crypto_rsa_private){.modulus_bits = private_key.n_bitlen,
                                               .p = bytes_of(private_key.p, private_key.plen),
                                               .q = bytes_of(private_key.q, private_key.qlen),
                                               .dp = bytes_of(private_key.dp, private_key.dplen),
                                               .dq = bytes_of(private_key.dq, private_key.dqlen),
                                               .iq = bytes_of(private_key.iq, private_key.iqlen)};
    }
}

/* Made when it is first needed, since that takes a moment; the same key for all cases of a run. */
const struct service_key *service_key(struct conformance *c, size_t which)
{
    struct service_key *key = &service_of(c)->keys[which];
    const bool ek = which == SERVICE_EK || which == SERVICE_OTHER_EK;
    if (!key->made) {
        char seed[300];
        snprintf(seed, sizeof seed, "%s RSA key %zu", c->seed, which);
        make(key, seed);
        if (!key->made) {
            conformance_check(c, false, "an RSA key could not be made");
        }
        struct tpm2_public area = ek ? tpm2_template_ek_l1() : tpm2_template_srk();
        struct bytes_writer w = bytes_writer_over(key->public_2b, sizeof key->public_2b);
        area.unique = bytes_of(key->modulus, sizeof key->modulus);
        tpm2_public_write_2b(&w, &area);
        key->public_len = bytes_written(&w).len;
        tpm2_name_of(bytes_written(&w), key->name);
    }
    return key;
}

static struct bytes bad_modulus(const struct service_key *key, enum service_modulus how, uint8_t n[257])
{
    memcpy(n, key->modulus, 256);
    n[256] = 1;
    switch (how) {
    case SERVICE_MODULUS_EVEN:
        n[255] &= 0xfe;
        break;
    case SERVICE_MODULUS_LEADING_ZERO:
        n[0] = 0;
        break;
    case SERVICE_MODULUS_ONES:
        memset(n, 0, 256);
        n[255] = 1;
        break;
    case SERVICE_MODULUS_SHORT:
        return bytes_of(n, 128);
    case SERVICE_MODULUS_LONG:
        return bytes_of(n, 257);
    case SERVICE_MODULUS_EMPTY:
        return bytes_of(n, 0);
    case SERVICE_MODULUS_AS_IT_IS:
        break;
    }
    return bytes_of(n, 256);
}

struct bytes service_variant_make(const struct service_key *key, const struct tpm2_public *base,
                                  const struct service_variant *v, uint8_t *out, size_t size)
{
    static const uint8_t policy[32] = {1};
    uint8_t n[257];
    struct tpm2_public area = *base;
    struct bytes_writer w = bytes_writer_over(out, size);
    area.attributes = (area.attributes | v->set) & ~v->clear;
    area.exponent = v->exponent;
    area.key_bits = v->key_bits != 0 ? v->key_bits : area.key_bits;
    area.name_alg = v->name_alg != 0 ? v->name_alg : area.name_alg;
    area.symmetric = v->symmetric != 0 ? v->symmetric : area.symmetric;
    area.symmetric_key_bits = v->symmetric_bits != 0 ? v->symmetric_bits : area.symmetric_key_bits;
    area.symmetric_mode = v->mode != 0 ? v->mode : area.symmetric_mode;
    area.scheme = v->scheme != 0 ? v->scheme : area.scheme;
    area.scheme_hash = v->scheme_hash;
    if (v->no_policy || v->other_policy) {
        area.auth_policy = bytes_of(policy, v->other_policy ? sizeof policy : 0);
    }
    area.unique = bad_modulus(key, v->modulus, n);
    tpm2_public_write_2b(&w, &area);
    return bytes_written(&w);
}

void service_base64(struct bytes bytes, char *text, size_t size)
{
    struct bytes_writer w = bytes_writer_over((uint8_t *)text, size - 1);
    dps_write_base64(&w, bytes);
    text[bytes_written(&w).len] = 0;
}

uint64_t service_now(void)
{
    const struct port_clock clock = posix_clock();
    return clock.unix_seconds(clock.context);
}

void service_expiry(int64_t age, char *text, size_t size)
{
    const int64_t at = (int64_t)service_now() + age;
    snprintf(text, size, "%lld", (long long)at);
}

/* ---- Tokens -------------------------------------------------------------------------------------------- */

static void write_percent(struct bytes_writer *w, const char *text, bool lower_hex)
{
    const size_t begin = w->len;
    dps_write_percent(w, bytes_of_text(text));
    for (size_t i = begin; lower_hex && w->error == 0 && i + 2 < w->len; i++) {
        if (w->p[i] == '%') {
            w->p[i + 1] = dps_lower(w->p[i + 1]);
            w->p[i + 2] = dps_lower(w->p[i + 2]);
        }
    }
}

void service_sign(struct bytes key, const struct service_token *t, char *text, size_t size)
{
    const struct bytes signed_text[3] = {bytes_of_text(t->sr), bytes_of("\n", 1), bytes_of_text(t->se)};
    const char *pattern = t->pattern != NULL ? t->pattern
                          : t->skn != NULL   ? "SharedAccessSignature sr=$r&sig=$g&se=$e&skn=$n"
                                             : "SharedAccessSignature sr=$r&sig=$g&se=$e";
    uint8_t mac[CRYPTO_SHA256_SIZE];
    char signature[64];
    struct bytes_writer w = bytes_writer_over((uint8_t *)text, size - 1);
    crypto_hmac_sha256(key, signed_text, 3, mac);
    mac[sizeof mac - 1] ^= t->last_bit;
    service_base64(bytes_of(mac, sizeof mac), signature, sizeof signature);
    for (const char *p = pattern; *p != 0; p++) {
        if (*p != '$') {
            bytes_write_u8(&w, (uint8_t)*p);
            continue;
        }
        p++;
        if (*p == 'g') {
            write_percent(&w, signature, t->lower_hex);
        } else {
            dps_write_text(&w, *p == 'r' ? t->sr : *p == 'e' ? t->se : *p == 'b' ? signature : t->skn);
        }
    }
    text[bytes_written(&w).len] = 0;
}

void service_device_token(const struct service_device *d, const uint8_t key[SERVICE_SECRET_SIZE], char *text,
                          size_t size)
{
    char sr[256];
    char se[24];
    snprintf(sr, sizeof sr, "%s%%2Fregistrations%%2F%s", service_given.scope, d->id);
    service_expiry(3600, se, sizeof se);
    const struct service_token t = {.sr = sr, .se = se, .skn = "registration"};
    service_sign(bytes_of(key, SERVICE_SECRET_SIZE), &t, text, size);
}
