/* SPDX-License-Identifier: MIT */
#include "dps/device/record.h"
#include <string.h>

/* A record begins with this mark, and a digit that is '1' and: */
static const uint8_t mark[] = {'D', 'P', 'S'};
#define HARDENED 1 /* the SRK */
#define KNOWS_EK 2 /* the Name of the EK is in it */

int dps_keep_text(char *field, size_t size, struct bytes text)
{
    if (text.len >= size) {
        return BYTES_E_LIMIT;
    }
    field[0] = '\0';
    if (text.len == 0) {
        return 0;
    }
    if (memchr(text.p, 0, text.len) != NULL) {
        return BYTES_E_FORMAT;
    }
    memcpy(field, text.p, text.len);
    field[text.len] = '\0';
    return 0;
}

int dps_keep_bytes(uint8_t *field, size_t size, uint16_t *len, struct bytes bytes)
{
    if (bytes.len > size) {
        return BYTES_E_LIMIT;
    }
    if (bytes.len > 0) {
        memcpy(field, bytes.p, bytes.len);
    }
    *len = (uint16_t)bytes.len;
    return 0;
}

/* SHA-256 of what was written from begin on. */
static void write_digest(struct bytes_writer *w, size_t begin)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    if (w->error == 0) {
        const struct bytes all = {w->p + begin, w->len - begin};
        crypto_sha256(&all, 1, digest);
        bytes_write_bytes(w, bytes_of(digest, sizeof digest));
    }
}

static void write_text(struct bytes_writer *w, const char *text)
{
    bytes_write_2b(w, bytes_of_text(text));
}

void dps_record_write(struct bytes_writer *w, const struct dps_device *d)
{
    const size_t begin = w->len;
    bytes_write_bytes(w, bytes_of(mark, sizeof mark));
    bytes_write_u8(w, (uint8_t)('1' + KNOWS_EK + (d->hardened ? HARDENED : 0)));
    write_text(w, d->config->id_scope);
    write_text(w, d->registration_id);
    write_text(w, d->assigned_hub);
    write_text(w, d->device_id);
    bytes_write_2b(w, bytes_of(d->srk_name, sizeof d->srk_name));
    bytes_write_2b(w, bytes_of(d->wrapped_key, d->wrapped_key_len));
    bytes_write_2b(w, bytes_of(d->key_public, d->key_public_len));
    bytes_write_2b(w, bytes_of(d->ek_name, sizeof d->ek_name));
    write_digest(w, begin);
}

/* Whole, and of which kind? */
static int begin(struct bytes record, struct bytes_reader *r, unsigned *kind)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    if (record.len < sizeof digest) {
        return BYTES_E_STATE;
    }
    const struct bytes content = {record.p, record.len - sizeof digest};
    crypto_sha256(&content, 1, digest);
    if (!bytes_equal_secret(digest, record.p + content.len, sizeof digest)) {
        return BYTES_E_STATE;
    }
    *r = bytes_reader_over(content);
    const struct bytes begins = bytes_read_bytes(r, sizeof mark);
    const uint8_t digit = bytes_read_u8(r);
    if (!bytes_equal_public(begins, bytes_of(mark, sizeof mark)) || digit < '1' || digit > '4') {
        return BYTES_E_STATE;
    }
    *kind = (unsigned)digit - '1';
    return 0;
}

/* The Name of the EK, by which the next run knows that it talks to the same TPM. */
static bool keep_ek(struct dps_device *d, struct bytes_reader *r, unsigned kind)
{
    const struct bytes name = (kind & KNOWS_EK) != 0 ? bytes_read_2b(r) : bytes_of(NULL, 0);
    const bool whole = name.len == sizeof d->ek_expected;
    if (whole && !d->ek_is_expected) { /* else the caller has said which */
        memcpy(d->ek_expected, name.p, sizeof d->ek_expected);
        d->ek_is_expected = true;
    }
    return whole || (kind & KNOWS_EK) == 0;
}

static bool keep_texts(struct dps_device *d, struct bytes_reader *r)
{
    return dps_keep_text(d->registration_id, sizeof d->registration_id, bytes_read_2b(r)) == 0 &&
           dps_keep_text(d->assigned_hub, sizeof d->assigned_hub, bytes_read_2b(r)) == 0 &&
           dps_keep_text(d->device_id, sizeof d->device_id, bytes_read_2b(r)) == 0;
}

static bool keep_key(struct dps_device *d, struct bytes_reader *r)
{
    return dps_keep_bytes(d->wrapped_key, sizeof d->wrapped_key, &d->wrapped_key_len, bytes_read_2b(r)) ==
               0 &&
           dps_keep_bytes(d->key_public, sizeof d->key_public, &d->key_public_len, bytes_read_2b(r)) == 0;
}

int dps_record_read(struct bytes record, struct dps_device *d)
{
    struct bytes_reader r;
    unsigned kind;
    if (begin(record, &r, &kind) != 0) {
        return BYTES_E_STATE;
    }
    d->hardened = (kind & HARDENED) != 0;
    (void)bytes_read_2b(&r); /* idScope: for people and for a later registration, not for tokens */
    const bool texts = keep_texts(d, &r);
    (void)bytes_read_2b(&r); /* Name of the SRK: the TPM itself refuses the key under another one */
    const bool whole = texts && keep_key(d, &r) && keep_ek(d, &r, kind);
    return whole && bytes_reader_end(&r) == 0 ? 0 : BYTES_E_STATE;
}

int dps_record_ek_name(struct bytes record, uint8_t name[TPM2_NAME_SIZE])
{
    struct bytes_reader r;
    struct bytes field = {0};
    unsigned kind;
    if (begin(record, &r, &kind) != 0 || (kind & KNOWS_EK) == 0) {
        return BYTES_E_STATE;
    }
    /*@ loop invariant reads(&r) && view(field) && within(r.p, r.left, record.p, record.len);
        loop invariant within(field.p, field.len, record.p, record.len);
        loop assigns r, field;
        loop variant r.error == 0 ? r.left : 0; */
    while (r.left > 0 && r.error == 0) {
        field = bytes_read_2b(&r); /* the last one */
    }
    if (r.error != 0 || field.len != TPM2_NAME_SIZE) {
        return BYTES_E_STATE;
    }
    memcpy(name, field.p, TPM2_NAME_SIZE);
    return 0;
}
