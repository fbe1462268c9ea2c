/* SPDX-License-Identifier: MIT */
/* The judge of a server's certificate chain: BearSSL's validator, and around it what that leaves out.
 *
 * BearSSL checks signatures, the order of names, basic constraints, key usage, dates, and the host name against the
 * leaf's dNSName entries. This reads along [RFC 5280 4.1] and
 *   - gives it, certificate by certificate, those trust anchors that can end the chain (crypto/tls_trust.h);
 *   - gives it the time, where no clock does (crypto/tls_dates.h);
 *   - refuses a certificate whose extended key usage does not allow a TLS server [RFC 5280 4.2.1.12], the leaf's and
 *     those of its issuers below the anchor;
 *   - refuses name constraints, critical or not, since nobody here would obey them [RFC 5280 4.2.1.10];
 *   - refuses a leaf without subjectAltName, whose common name BearSSL would take for a host name [RFC 9525 2].
 * spec-notes.md, "What a certificate proves", says what nobody checks. */
#ifndef CRYPTO_TLS_CHAIN_H
#define CRYPTO_TLS_CHAIN_H

#include "crypto/tls_dates.h"
#include "crypto/tls_trust.h"

/* Reasons beside BearSSL's, whose numbers for certificates end below 64 and for alerts begin at 256. */
enum {
    CRYPTO_TLS_BAD_PURPOSE = 64,
    CRYPTO_TLS_NAME_CONSTRAINTS,
    CRYPTO_TLS_NO_SUBJECT_ALT_NAME,
    CRYPTO_TLS_TOO_MANY_ANCHORS
};

struct crypto_tls_chain {
    const br_x509_class *vtable;
    br_x509_minimal_context inner; /* to be configured further by the caller: algorithms */
    const struct crypto_trust *trust;
    struct crypto_anchors anchors;
    struct crypto_tls_date date; /* that certificates are compared with */
    bool clock;                  /* it is the clock's, and stays */
    uint64_t not_after;          /* the end of the leaf, in seconds since 1970; 0: not seen */
    /* the certificate at hand */
    bool leaf;   /* it is the first one */
    bool judged; /* it counts: no anchor was reached before it */
    bool has_subject_alt_name, has_name_constraints;
    uint8_t purpose;  /* what its extended key usage says */
    unsigned refused; /* one of the reasons above, or 0 */
    /* where in the certificate the next byte stands */
    uint8_t element, tag, part;
    uint8_t length_bytes; /* of the element's length, still to come */
    uint32_t left;        /* of the element's content */
    uint8_t kept[16];     /* the content, where it matters */
    uint8_t kept_len;
};

/* Make c the validator that ends chains at trust, which must outlive it. now: seconds since 1970; 0: unknown. */
void crypto_tls_chain_init(struct crypto_tls_chain *c, const struct crypto_trust *trust, uint64_t now);

#endif
