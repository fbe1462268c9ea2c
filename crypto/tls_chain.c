/* SPDX-License-Identifier: MIT */
#include "crypto/tls_chain.h"
#include <string.h>

/* The elements of a certificate in their order [RFC 5280 4.1]; an extended key usage is a case of its own, before the
 * other extensions. That BearSSL's validator has parsed the same bytes, and strictly, is what makes this simple reading
 * safe; only what stands inside an extended key usage is read here alone. */
enum {
    CERTIFICATE,
    TBS_CERTIFICATE,
    CERTIFICATE_VERSION,
    SERIAL,
    SIGNATURE,
    ISSUER,
    VALIDITY,
    NOT_BEFORE,
    NOT_AFTER,
    SUBJECT,
    PUBLIC_KEY,
    ISSUER_ID,
    SUBJECT_ID,
    EXTENSIONS,
    EXTENSION_LIST,
    PURPOSES_CRITICAL,
    PURPOSES_VALUE,
    PURPOSES,
    PURPOSE,
    EXTENSION,
    EXTENSION_ID,
    CRITICAL,
    VALUE,
    BEYOND,
    NOTHING /* has ended with this byte */
};
enum { PART_TAG, PART_LENGTH, PART_CONTENT };
enum { PURPOSE_FREE, PURPOSE_OTHER, PURPOSE_SERVER };

/* What is done with an element: SKIP its content, KEEP it, or ENTER, so that the next element stands inside. One that
 * MAY be missing may be passed over for the next in the list. */
enum { SKIP = 0, KEEP = 1, ENTER = 2, MAY = 4 };
static const struct {
    uint8_t tag; /* 0: any */
    uint8_t how;
} grammar[] = {
    [CERTIFICATE] = {0x30, ENTER},
    [TBS_CERTIFICATE] = {0x30, ENTER},
    [CERTIFICATE_VERSION] = {0xa0, SKIP | MAY},
    [SERIAL] = {0x02, SKIP},
    [SIGNATURE] = {0x30, SKIP},
    [ISSUER] = {0x30, SKIP},
    [VALIDITY] = {0x30, ENTER},
    [NOT_BEFORE] = {0, KEEP},
    [NOT_AFTER] = {0, KEEP},
    [SUBJECT] = {0x30, SKIP},
    [PUBLIC_KEY] = {0x30, SKIP},
    [ISSUER_ID] = {0x81, SKIP | MAY},
    [SUBJECT_ID] = {0x82, SKIP | MAY},
    [EXTENSIONS] = {0xa3, ENTER},
    [EXTENSION_LIST] = {0x30, ENTER},
    [PURPOSES_CRITICAL] = {0x01, SKIP | MAY},
    [PURPOSES_VALUE] = {0x04, ENTER},
    [PURPOSES] = {0x30, ENTER},
    [PURPOSE] = {0x06, KEEP | MAY},
    [EXTENSION] = {0x30, ENTER},
    [EXTENSION_ID] = {0x06, KEEP},
    [CRITICAL] = {0x01, SKIP | MAY},
    [VALUE] = {0x04, SKIP},
    [BEYOND] = {0, SKIP},
};

static const uint8_t id_subject_alt_name[] = {0x55, 0x1d, 0x11};
static const uint8_t id_name_constraints[] = {0x55, 0x1d, 0x1e};
static const uint8_t id_extended_key_usage[] = {0x55, 0x1d, 0x25};
static const uint8_t id_any_purpose[] = {0x55, 0x1d, 0x25, 0x00};
static const uint8_t id_server_auth[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};

static bool kept_is(const struct crypto_tls_chain *c, const uint8_t *id, size_t len)
{
    return c->kept_len == len && memcmp(c->kept, id, len) == 0;
}

/* The first reason counts, and before any of these BearSSL's own, which has then had all bytes so far. */
static void refuse(struct crypto_tls_chain *c, unsigned reason)
{
    const bool content = c->inner.err == 0 || c->inner.err == BR_ERR_X509_OK;
    if (c->judged && content && c->refused == 0) {
        c->refused = reason;
    }
}

static void take_extension_id(struct crypto_tls_chain *c)
{
    if (kept_is(c, id_extended_key_usage, sizeof id_extended_key_usage)) {
        c->purpose = c->purpose == PURPOSE_SERVER ? PURPOSE_SERVER : PURPOSE_OTHER;
        c->element = PURPOSES_CRITICAL;
    } else if (kept_is(c, id_name_constraints, sizeof id_name_constraints)) {
        c->has_name_constraints = true;
    } else if (kept_is(c, id_subject_alt_name, sizeof id_subject_alt_name)) {
        c->has_subject_alt_name = true;
    }
}

/* The element ends with the byte that was read. Returns which one it was. */
static uint8_t end_element(struct crypto_tls_chain *c)
{
    const uint8_t ended = c->element;
    c->part = PART_TAG;
    c->element++;
    if (ended == EXTENSION_ID) {
        take_extension_id(c);
    } else if (ended == PURPOSE) {
        c->element = PURPOSE;
        if (kept_is(c, id_server_auth, sizeof id_server_auth) ||
            kept_is(c, id_any_purpose, sizeof id_any_purpose)) {
            c->purpose = PURPOSE_SERVER;
        }
    } else if (ended == EXTENSION_LIST || ended == VALUE) {
        c->element = EXTENSION;
    }
    return ended;
}

/* What was expected, or, since that may be missing, what the tag says. */
static void begin_element(struct crypto_tls_chain *c, uint8_t tag)
{
    while (grammar[c->element].tag != 0 && grammar[c->element].tag != tag) {
        c->element = grammar[c->element].how & MAY ? (uint8_t)(c->element + 1) : BEYOND;
    }
    c->tag = tag;
    c->part = PART_LENGTH;
    c->left = 0;
    c->length_bytes = 0;
    c->kept_len = 0;
}

/* Returns true when the length is complete. */
static bool read_length(struct crypto_tls_chain *c, uint8_t byte)
{
    if (c->length_bytes > 0) {
        c->left = c->left << 8 | byte;
        c->length_bytes--;
    } else if (byte < 0x80) {
        c->left = byte;
    } else {
        c->length_bytes = byte & 0x7f;
    }
    return c->length_bytes == 0;
}

/* Returns the element that ends with this byte, or NOTHING; an element that is entered ends with its header. */
static uint8_t read_byte(struct crypto_tls_chain *c, uint8_t byte)
{
    switch (c->part) {
    case PART_TAG:
        begin_element(c, byte);
        return NOTHING;
    case PART_LENGTH:
        if (!read_length(c, byte)) {
            return NOTHING;
        }
        c->part = PART_CONTENT;
        return (grammar[c->element].how & ENTER) != 0 || c->left == 0 ? end_element(c) : NOTHING;
    default:
        if ((grammar[c->element].how & KEEP) != 0 && c->kept_len < sizeof c->kept) {
            c->kept[c->kept_len++] = byte;
        }
        return --c->left == 0 ? end_element(c) : NOTHING;
    }
}

static struct crypto_tls_chain *from(const br_x509_class **context)
{
    return (struct crypto_tls_chain *)(void *)context;
}

static void start_chain(const br_x509_class **context, const char *server_name)
{
    struct crypto_tls_chain *c = from(context);
    c->refused = 0;
    c->leaf = true;
    c->not_after = 0;
    br_x509_minimal_set_time(&c->inner, c->date.days, c->date.seconds);
    c->inner.vtable->start_chain(&c->inner.vtable, server_name);
}

static void start_cert(const br_x509_class **context, uint32_t length)
{
    struct crypto_tls_chain *c = from(context);
    c->element = CERTIFICATE;
    c->part = PART_TAG;
    c->purpose = PURPOSE_FREE;
    c->has_subject_alt_name = false;
    c->has_name_constraints = false;
    c->judged = c->inner.err == 0;
    c->inner.vtable->start_cert(&c->inner.vtable, length);
}

/* Called when BearSSL has read the names, and before it looks for an anchor. No function of it gives these names. */
static void find_anchors(struct crypto_tls_chain *c)
{
    struct crypto_chain_names names;
    if (c->inner.err != 0) {
        return;
    }
    memcpy(names.issuer, c->inner.saved_dn_hash, sizeof names.issuer);
    memcpy(names.subject, c->inner.current_dn_hash, sizeof names.subject);
    if (crypto_trust_find(c->trust, &names, &c->anchors) != 0) {
        refuse(c, CRYPTO_TLS_TOO_MANY_ANCHORS);
    }
}

static void take_not_before(struct crypto_tls_chain *c)
{
    if (!c->clock) {
        crypto_tls_date_advance(&c->date, c->tag, c->kept, c->kept_len);
        br_x509_minimal_set_time(&c->inner, c->date.days, c->date.seconds);
    }
}

/* BearSSL compares a date as soon as it has all of it, so it gets the last byte of notBefore only when the time has
 * been set. The names it must get whole. */
static void append(const br_x509_class **context, const unsigned char *bytes, size_t len)
{
    struct crypto_tls_chain *c = from(context);
    size_t given = 0;
    for (size_t i = 0; i < len && c->element < BEYOND; i++) {
        const uint8_t ended = read_byte(c, bytes[i]);
        if (ended == NOT_BEFORE || ended == SUBJECT) {
            const size_t end = ended == SUBJECT ? i + 1 : i;
            c->inner.vtable->append(&c->inner.vtable, bytes + given, end - given);
            given = end;
        }
        if (ended == NOT_BEFORE) {
            take_not_before(c);
        } else if (ended == NOT_AFTER && c->leaf) {
            c->not_after = crypto_tls_date_seconds(c->tag, c->kept, c->kept_len);
        } else if (ended == SUBJECT) {
            find_anchors(c);
        }
    }
    c->inner.vtable->append(&c->inner.vtable, bytes + given, len - given);
}

static void end_cert(const br_x509_class **context)
{
    struct crypto_tls_chain *c = from(context);
    c->inner.vtable->end_cert(&c->inner.vtable);
    if (c->has_name_constraints) {
        refuse(c, CRYPTO_TLS_NAME_CONSTRAINTS);
    }
    if (c->purpose == PURPOSE_OTHER) {
        refuse(c, CRYPTO_TLS_BAD_PURPOSE);
    }
    if (c->leaf && !c->has_subject_alt_name) {
        refuse(c, CRYPTO_TLS_NO_SUBJECT_ALT_NAME);
    }
    c->leaf = false;
}

static unsigned end_chain(const br_x509_class **context)
{
    struct crypto_tls_chain *c = from(context);
    const unsigned error = c->inner.vtable->end_chain(&c->inner.vtable);
    return c->refused != 0 ? c->refused : error;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *context, unsigned *usages)
{
    const struct crypto_tls_chain *c = (const struct crypto_tls_chain *)(const void *)context;
    return c->refused != 0 ? NULL : c->inner.vtable->get_pkey(&c->inner.vtable, usages);
}

static const br_x509_class chain_class = {
    sizeof(struct crypto_tls_chain), start_chain, start_cert, append, end_cert, end_chain, get_pkey,
};

void crypto_tls_chain_init(struct crypto_tls_chain *c, const struct crypto_trust *trust, uint64_t now)
{
    memset(c, 0, sizeof *c);
    c->vtable = &chain_class;
    c->trust = trust;
    c->clock = now != 0;
    c->date = crypto_tls_date_of(c->clock ? now : CRYPTO_TLS_TIME_FLOOR);
    br_x509_minimal_init(&c->inner, &br_sha256_vtable, c->anchors.slots, CRYPTO_TRUST_ANCHORS_MAX);
}
