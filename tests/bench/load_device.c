/* SPDX-License-Identifier: MIT */
#include "dps/protocol/activation.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/bench/load.h"
#include "tests/support/activation_open.h"
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool make_key(struct crypto_rsa_private *key, uint8_t *storage, size_t size, struct tpm2_public area,
                     struct bytes_writer *public_2b)
{
    uint8_t modulus[256];
    BIGNUM *n = NULL;
    unsigned char *der = NULL;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    const int der_len = pkey != NULL ? i2d_PrivateKey(pkey, &der) : 0;
    const bool made = der_len > 0 && EVP_PKEY_get_bn_param(pkey, "n", &n) == 1 &&
                      BN_bn2binpad(n, modulus, sizeof modulus) == sizeof modulus &&
                      crypto_rsa_private_decode(bytes_of(der, (size_t)der_len), key, storage, size) == 0;
    area.unique = bytes_of(modulus, sizeof modulus);
    tpm2_public_write_2b(public_2b, &area);
    BN_free(n);
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    return made && public_2b->error == 0;
}

static void base64(char *out, size_t size, struct bytes bytes)
{
    struct bytes_writer w = bytes_writer_over((uint8_t *)out, size - 1);
    dps_write_base64(&w, bytes);
    out[bytes_written(&w).len] = 0;
}

bool load_keys_make(struct load_keys *k)
{
    struct bytes_writer ek = bytes_writer_over(k->ek_2b, sizeof k->ek_2b);
    struct bytes_writer srk = bytes_writer_over(k->srk_2b, sizeof k->srk_2b);
    if (!make_key(&k->ek, k->storage[0], sizeof k->storage[0], tpm2_template_ek_l1(), &ek) ||
        !make_key(&k->srk, k->storage[1], sizeof k->storage[1], tpm2_template_srk(), &srk)) {
        return false;
    }
    k->ek_len = ek.len;
    k->srk_len = srk.len;
    tpm2_name_of(bytes_written(&srk), k->srk_name);
    base64(k->ek_base64, sizeof k->ek_base64, bytes_written(&ek));
    base64(k->srk_base64, sizeof k->srk_base64, bytes_written(&srk));
    return true;
}

/* Returns: whether the answer has this status. */
static bool ask(struct load_device *d, struct load_link *l, const char *what, const char *request, int len,
                unsigned status)
{
    if (len < 0 || !load_link_ask(l, request, (size_t)len)) {
        snprintf(d->why, sizeof d->why, "%s: the connection failed", what);
        return false;
    }
    if (l->http.status != status) {
        const struct bytes body = dps_http_body(&l->http, l->in);
        snprintf(d->why, sizeof d->why, "%s: %u %.*s", what, (unsigned)l->http.status,
                 (int)(body.len < 160 ? body.len : 160), (const char *)body.p);
        return false;
    }
    return true;
}

/* A string member of the answer's JSON. Returns: its length, 0 if there is none. */
static size_t member(const struct load_link *l, const char *name, uint8_t *out, size_t size)
{
    struct bytes root;
    struct bytes value;
    size_t len;
    if (dps_json_check(dps_http_body(&l->http, l->in), &root) != 0 ||
        dps_json_member(root, name, &value) != 0 || dps_json_string(value, out, size, &len) != 0) {
        return 0;
    }
    return len;
}

/* Steps 7 and 8, as a TPM would do them. */
static bool make_token(struct load_device *d, const struct load_link *l, const char *id, char *token,
                       size_t size)
{
    uint8_t blob[2048];
    uint8_t sr[256];
    uint8_t text[320];
    uint8_t nonce[DPS_KEY_SIZE];
    uint8_t mac[32];
    size_t len = member(l, "authenticationKey", blob, sizeof blob);
    const uint64_t expiry = (uint64_t)time(NULL) + 600;
    struct bytes_writer audience = bytes_writer_over(sr, sizeof sr);
    struct bytes_writer signed_text = bytes_writer_over(text, sizeof text);
    struct bytes_writer w = bytes_writer_over((uint8_t *)token, size - 1);
    if (dps_base64_decode(bytes_of(blob, len), blob, sizeof blob, &len) != 0 ||
        activation_open(bytes_of(blob, len), &d->keys->ek, &d->keys->srk,
                        bytes_of(d->keys->srk_name, sizeof d->keys->srk_name), nonce) != 0) {
        snprintf(d->why, sizeof d->why, "the challenge does not open");
        return false;
    }
    dps_write_text(&audience, d->scope);
    dps_write_text(&audience, "%2Fregistrations%2F");
    dps_write_text(&audience, id);
    dps_sas_write_string_to_sign(&signed_text, bytes_written(&audience), expiry);
    const struct bytes piece = bytes_written(&signed_text);
    crypto_hmac_sha256(bytes_of(nonce, sizeof nonce), &piece, 1, mac);
    dps_sas_write_token(&w, bytes_written(&audience), mac, expiry, bytes_of_text("registration"));
    token[bytes_written(&w).len] = 0;
    return w.error == 0;
}

#define VERSION "api-version=2021-06-01"

bool load_register(struct load_device *d, struct load_link *l, const char *id)
{
    char request[4096];
    char body[1536];
    char token[640];
    uint8_t operation[129];
    const int body_len =
        snprintf(body, sizeof body,
                 "{\"registrationId\":\"%s\",\"tpm\":{\"endorsementKey\":\"%s\",\"storageRootKey\":\"%s\"}}",
                 id, d->keys->ek_base64, d->keys->srk_base64);
    const char *form = "PUT /%s/registrations/%s/register?" VERSION " HTTP/1.1\r\nHost: %s\r\n%s%s%s"
                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s";
    int len = snprintf(request, sizeof request, form, d->scope, id, d->host, "", "", "", body_len, body);
    if (!ask(d, l, "challenge", request, len, 401) || !make_token(d, l, id, token, sizeof token)) {
        return false;
    }
    len = snprintf(request, sizeof request, form, d->scope, id, d->host, "Authorization: ", token, "\r\n",
                   body_len, body);
    if (!ask(d, l, "registration", request, len, 202)) {
        return false;
    }
    operation[member(l, "operationId", operation, sizeof operation - 1)] = 0;
    len = snprintf(request, sizeof request,
                   "GET /%s/registrations/%s/operations/%s?" VERSION
                   " HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n",
                   d->scope, id, (const char *)operation, d->host, token);
    return ask(d, l, "operation", request, len, 200);
}

bool load_get(struct load_device *d, struct load_link *l, const char *path)
{
    char request[1024];
    const int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, d->host);
    return ask(d, l, "page", request, len, 200);
}
