/* SPDX-License-Identifier: MIT */
/* Certificate chains, to the client's judge. Input: one byte, the size of the pieces in which they arrive; then each
 * certificate, with a size of two bytes before it. What the judge reads along must be what two other readers find: of
 * dates BearSSL's decoder, of extensions the reader of certificates that lie in memory. */
#include "crypto/der.h"
#include "crypto/tls.h"
#include "tests/fuzz/fuzz.h"
#include "tests/vectors/tls_pem.h"
#include <string.h>

struct judge {
    struct crypto_tls_chain chain;
    unsigned result;
};

static void prepare(struct judge *j, const struct crypto_trust *trust, uint64_t now)
{
    crypto_tls_chain_init(&j->chain, trust, now);
    br_x509_minimal_set_hash(&j->chain.inner, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(&j->chain.inner, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_rsa(&j->chain.inner, br_rsa_pkcs1_vrfy_get_default());
    br_x509_minimal_set_ecdsa(&j->chain.inner, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
}

static void give(struct judge *j, struct bytes certificate, size_t piece)
{
    const br_x509_class **context = &j->chain.vtable;
    uint8_t *copy = fuzz_copy(certificate);
    (*context)->start_cert(context, (uint32_t)certificate.len);
    for (size_t at = 0; at < certificate.len; at += piece) {
        const size_t len = certificate.len - at < piece ? certificate.len - at : piece;
        (*context)->append(context, copy + at, len);
    }
    (*context)->end_cert(context);
    free(copy);
}

static struct bytes next_certificate(struct bytes *input)
{
    struct bytes_reader r = bytes_reader_over(*input);
    const size_t len = bytes_read_u16(&r);
    const struct bytes certificate = bytes_read_bytes(&r, len < r.left ? len : r.left);
    *input = bytes_of(r.p, r.error != 0 ? 0 : r.left);
    return certificate;
}

static void judge_all(struct judge *j, struct bytes input, size_t piece, const char *host)
{
    const br_x509_class **context = &j->chain.vtable;
    (*context)->start_chain(context, host);
    while (input.len > 2) {
        give(j, next_certificate(&input), piece);
    }
    j->result = (*context)->end_chain(context);
}

/* ---- The other readers ---- */

static void check_date(const struct judge *j, struct bytes certificate)
{
    br_x509_decoder_context x;
    br_x509_decoder_init(&x, NULL, NULL);
    br_x509_decoder_push(&x, certificate.p, certificate.len);
    if (br_x509_decoder_last_error(&x) != 0) {
        return;
    }
    struct crypto_tls_date expected = crypto_tls_date_of(CRYPTO_TLS_TIME_FLOOR);
    if (x.notbefore_days > expected.days ||
        (x.notbefore_days == expected.days && x.notbefore_seconds > expected.seconds)) {
        expected = (struct crypto_tls_date){x.notbefore_days, x.notbefore_seconds};
    }
    HOLDS(j->chain.date.days == expected.days && j->chain.date.seconds == expected.seconds);
}

struct found {
    bool san, constraints, purposes, server;
};

static void look_into_purposes(struct bytes value, struct found *f)
{
    static const uint8_t any[] = {0x55, 0x1d, 0x25, 0x00};
    static const uint8_t server[] = {0x2b, 6, 1, 5, 5, 7, 3, 1};
    struct crypto_der outer = crypto_der_over(value);
    struct crypto_der list = crypto_der_over(crypto_der_take(&outer, CRYPTO_DER_SEQUENCE));
    f->purposes = true;
    while (crypto_der_is(&list, CRYPTO_DER_OID)) {
        const struct bytes oid = crypto_der_take(&list, CRYPTO_DER_OID);
        f->server |= bytes_equal_public(oid, bytes_of(any, sizeof any)) ||
                     bytes_equal_public(oid, bytes_of(server, sizeof server));
    }
    f->server &= crypto_der_end(&outer) && crypto_der_end(&list);
}

static void look_into(struct bytes extension, struct found *f)
{
    struct crypto_der d = crypto_der_over(extension);
    const struct bytes oid = crypto_der_take(&d, CRYPTO_DER_OID);
    if (crypto_der_is(&d, CRYPTO_DER_BOOLEAN)) {
        (void)crypto_der_take(&d, CRYPTO_DER_BOOLEAN);
    }
    const struct bytes value = crypto_der_take(&d, CRYPTO_DER_OCTET_STRING);
    if (oid.len != 3 || oid.p[0] != 0x55 || oid.p[1] != 0x1d) {
        return;
    }
    f->san |= oid.p[2] == 0x11;
    f->constraints |= oid.p[2] == 0x1e;
    if (oid.p[2] == 0x25) {
        look_into_purposes(value, f);
    }
}

static struct found extensions_of(struct bytes certificate)
{
    struct found f = {0};
    struct crypto_der d = crypto_der_over(certificate);
    d = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_SEQUENCE));
    d = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_SEQUENCE));
    while (!d.failed && d.rest.len > 0 && !crypto_der_is(&d, CRYPTO_DER_CONTEXT_3)) {
        (void)crypto_der_take(&d, d.rest.p[0]);
    }
    d = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_CONTEXT_3));
    d = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_SEQUENCE));
    while (crypto_der_is(&d, CRYPTO_DER_SEQUENCE)) {
        look_into(crypto_der_take(&d, CRYPTO_DER_SEQUENCE), &f);
    }
    return f;
}

/* A leaf that BearSSL has no objection to so far. */
static void check_extensions(const struct judge *j, struct bytes certificate)
{
    const struct found f = extensions_of(certificate);
    const bool fine = f.san && !f.constraints && (!f.purposes || f.server);
    HOLDS(f.server || !fine || j->chain.refused == 0);
    HOLDS(fine || j->chain.refused != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct judge one, whole, pieces;
    static struct crypto_trust trust;
    struct bytes input = bytes_of(data, size);
    const size_t piece = fuzz_byte(&input) % 97 + 1u;
    HOLDS(trust.count > 0 || crypto_trust_load(&trust, bytes_of_text(vector_tls_ca)) == 0);

    prepare(&whole, &trust, 0);
    judge_all(&whole, input, SIZE_MAX / 2, "dps.example");
    prepare(&pieces, &trust, 0);
    judge_all(&pieces, input, piece, "dps.example");
    HOLDS(whole.result == pieces.result && whole.chain.date.days == pieces.chain.date.days);

    struct bytes rest = input;
    const struct bytes leaf = next_certificate(&rest);
    prepare(&one, &trust, 0);
    one.chain.vtable->start_chain(&one.chain.vtable, "");
    give(&one, leaf, piece);
    check_date(&one, leaf);
    if (one.chain.inner.err == 0 || one.chain.inner.err == BR_ERR_X509_OK) {
        check_extensions(&one, leaf);
    }
    HOLDS(whole.result != 0 || one.chain.refused == 0);
    return 0;
}
