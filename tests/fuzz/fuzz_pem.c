/* SPDX-License-Identifier: MIT */
/* Certificates and keys. Input: one byte, what it is: trust anchors, a server's identity (chain and key in one text),
 * a DER certificate with an EK, a DER private key; the text or bytes. */
#include "crypto/certificate.h"
#include "crypto/tls.h"
#include "crypto/tls_identity.h"
#include "tests/fuzz/fuzz.h"
#include "tests/vectors/tls_pem.h"
#include <string.h>

static bool is_zero(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void check_trust(struct bytes pem)
{
    static struct crypto_trust trust;
    const int error = crypto_trust_load(&trust, pem);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
    HOLDS((error == 0) == (trust.count > 0));
}

static void check_identity(struct bytes chain, struct bytes key)
{
    static struct crypto_identity identity;
    const int error = crypto_identity_load(&identity, chain, key);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_LIMIT || error == BYTES_E_ALGORITHM ||
          error == BYTES_E_USAGE);
    HOLDS(error != 0 || (identity.chain_len > 0 && identity.chain_len <= CRYPTO_CHAIN_MAX));
    HOLDS(error == 0 || is_zero(&identity, sizeof identity));
}

static void check_ek_certificate(struct bytes der)
{
    struct crypto_certificate c;
    const int error = crypto_certificate_parse(der, &c);
    HOLDS(error == 0 || error == BYTES_E_FORMAT);
    HOLDS(error != 0 || (fuzz_views(c.key.rsa.modulus, der) && fuzz_views(c.der, der)));
}

static void check_private_key(struct bytes der)
{
    uint8_t storage[5 * 256 + 64];
    struct crypto_rsa_private key;
    const struct bytes all = bytes_of(storage, sizeof storage);
    const int error = crypto_rsa_private_decode(der, &key, storage, sizeof storage);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_SPACE);
    HOLDS(error != 0 || (fuzz_views(key.p, all) && fuzz_views(key.q, all) && fuzz_views(key.dp, all) &&
                         fuzz_views(key.dq, all) && fuzz_views(key.iq, all)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    switch (fuzz_byte(&input) % 5) {
    case 0:
        check_trust(input);
        break;
    case 1:
        check_identity(input, input);
        break;
    case 2: /* a good chain, so that the key is looked at */
        check_identity(bytes_of_text(vector_tls_ec_leaf), input);
        break;
    case 3:
        check_ek_certificate(input);
        break;
    default:
        check_private_key(input);
        break;
    }
    return 0;
}
