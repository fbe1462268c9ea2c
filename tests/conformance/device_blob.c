/* SPDX-License-Identifier: MIT */
#include "dps/protocol/activation.h"
#include "dps/protocol/text.h"
#include "tests/conformance/device.h"
#include "tpm/protect.h"
#include <string.h>

#define FIELDS 6
#define FIELD_MAX 600
#define URI_CHARACTERS 45 /* with them a blob is 856 bytes: base64 ends in "==" */

/* Where in field 5, TPM2B_PUBLIC of a keyed hash, the attributes and unique stand. */
#define PUBLIC_ATTRIBUTES_AT 6
#define PUBLIC_UNIQUE_AT 18

struct field {
    uint8_t bytes[FIELD_MAX]; /* with its size */
    size_t len;
};

struct material {
    struct tpm2_public ek, srk;
    uint8_t srk_name[TPM2_NAME_SIZE];
    uint8_t inner_key[32];
    uint8_t other_inner_key[16];
    uint8_t seed_value[32];
    uint8_t key[64];
    struct tpm2_wrap_random credential, duplicate;
};

static bool gather(struct client_bench *b, const uint8_t key[DPS_KEY_SIZE], struct material *m)
{
    struct crypto_entropy *random = &b->c->random;
    memset(m, 0, sizeof *m);
    if (random->fill(random->context, (uint8_t *)&m->inner_key, sizeof m->inner_key) != 0 ||
        random->fill(random->context, m->other_inner_key, sizeof m->other_inner_key) != 0 ||
        random->fill(random->context, m->seed_value, sizeof m->seed_value) != 0 ||
        random->fill(random->context, m->key, sizeof m->key) != 0 ||
        random->fill(random->context, (uint8_t *)&m->credential, sizeof m->credential) != 0 ||
        random->fill(random->context, (uint8_t *)&m->duplicate, sizeof m->duplicate) != 0) {
        return false;
    }
    memcpy(m->key, key, DPS_KEY_SIZE);
    if (tpm2_public_parse_2b(bytes_of(b->ek, b->ek_len), &m->ek) != 0 ||
        tpm2_public_parse_2b(bytes_of(b->srk, b->srk_len), &m->srk) != 0) {
        return false;
    }
    tpm2_name_of(bytes_of(b->srk, b->srk_len), m->srk_name);
    return true;
}

static void write_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Field 5. */
static void make_public(struct field *f, const struct tpm2_sensitive *sensitive,
                        const struct client_blob *change)
{
    uint8_t unique[CRYPTO_SHA256_SIZE];
    struct bytes_writer w = bytes_writer_over(f->bytes, sizeof f->bytes);
    tpm2_keyedhash_unique(sensitive, unique);
    const struct tpm2_public area = tpm2_template_hmac_key(bytes_of(unique, sizeof unique));
    tpm2_public_write_2b(&w, &area);
    f->len = w.len;
    if (change->fault == CLIENT_BLOB_PUBLIC_16) {
        write_u16(f->bytes + change->field, change->value);
    }
    if (change->fault == CLIENT_BLOB_ATTRIBUTES) {
        write_u16(f->bytes + PUBLIC_ATTRIBUTES_AT, change->value >> 16);
        write_u16(f->bytes + PUBLIC_ATTRIBUTES_AT + 2, change->value & 0xffff);
    }
    if (change->fault == CLIENT_BLOB_PUBLIC_UNIQUE) {
        f->bytes[PUBLIC_UNIQUE_AT] ^= 1;
    }
}

/* Two TPM2Bs that are made together. */
static void split(const struct bytes_writer *w, struct field *first, struct field *second)
{
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    struct field *const both[2] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        struct bytes whole = bytes_read_2b_whole(&r);
        both[i]->len = whole.len <= sizeof both[i]->bytes ? whole.len : 0;
        if (both[i]->len > 0) {
            memcpy(both[i]->bytes, whole.p, whole.len);
        }
    }
}

/* Fields 1 and 2. */
static void make_credential(struct field fields[FIELDS], const struct material *m,
                            const struct client_blob *change)
{
    uint8_t storage[2 * FIELD_MAX];
    struct bytes_writer w = bytes_writer_over(storage, sizeof storage);
    size_t size = change->fault == CLIENT_BLOB_INNER_SIZE ? change->value : DPS_INNER_KEY_SIZE;
    bool exchanged = change->fault == CLIENT_BLOB_OTHER_KEYS;
    uint8_t name[TPM2_NAME_SIZE];
    memcpy(name, m->srk_name, sizeof name);
    if (change->fault == CLIENT_BLOB_OTHER_NAME) {
        name[TPM2_NAME_SIZE - 1] ^= 1;
    }
    tpm2_credential_make(&w, exchanged ? &m->srk : &m->ek, bytes_of(m->inner_key, size),
                         bytes_of(name, sizeof name), &m->credential);
    split(&w, &fields[0], &fields[1]);
}

/* Fields 3, 4 and 5. */
static void make_duplicate(struct field fields[FIELDS], const struct material *m,
                           const struct client_blob *change)
{
    uint8_t storage[2 * FIELD_MAX];
    uint8_t name[TPM2_NAME_SIZE];
    struct bytes_writer w = bytes_writer_over(storage, sizeof storage);
    struct tpm2_sensitive sensitive = {
        .seed_value = bytes_of(m->seed_value, change->fault == CLIENT_BLOB_SEED_SIZE ? change->value : 32),
        .key = bytes_of(m->key, DPS_KEY_SIZE),
    };
    make_public(&fields[4], &sensitive, change);
    tpm2_name_of(bytes_of(fields[4].bytes, fields[4].len), name);
    const uint8_t *inner = change->fault == CLIENT_BLOB_OTHER_INNER ? m->other_inner_key : m->inner_key;
    const struct tpm2_public *parent = change->fault == CLIENT_BLOB_OTHER_KEYS ? &m->ek : &m->srk;
    tpm2_duplicate_make(&w, parent, bytes_of(inner, DPS_INNER_KEY_SIZE), bytes_of(name, sizeof name),
                        &sensitive, &m->duplicate);
    split(&w, &fields[2], &fields[3]);
}

/* Field 6: "host/id" in UTF-16LE under the inner key. Clients do not use it. */
static void make_uri(struct field *f, const struct material *m)
{
    static const char text[] = "global.azure-devices-provisioning.net/conforma";
    write_u16(f->bytes, 2 * URI_CHARACTERS);
    f->len = 2 + 2 * URI_CHARACTERS;
    for (size_t i = 0; i < URI_CHARACTERS; i++) {
        f->bytes[2 + 2 * i] = (uint8_t)text[i];
        f->bytes[3 + 2 * i] = 0;
    }
    (void)crypto_aes_cfb_encrypt(bytes_of(m->inner_key, DPS_INNER_KEY_SIZE), NULL, f->bytes + 2,
                                 2 * URI_CHARACTERS);
}

/* Sample number `variant` of `variants` among size places, first and last included. */
static size_t sample(size_t size, unsigned variant, unsigned variants)
{
    return variants < 2 ? size / 2 : (size - 1) * variant / (variants - 1);
}

static void change_field(struct client_bench *b, struct field fields[FIELDS],
                         const struct client_blob *change)
{
    unsigned variants = b->script->variants;
    struct field *f = &fields[change->field - 1];
    size_t content = f->len - 2;
    switch (change->fault) {
    case CLIENT_BLOB_SIZE_LESS:
        write_u16(f->bytes, (uint32_t)content - 1);
        break;
    case CLIENT_BLOB_SIZE_MORE:
        write_u16(f->bytes, (uint32_t)content + 1);
        break;
    case CLIENT_BLOB_SIZE_PAST:
        write_u16(f->bytes, 0xffff);
        break;
    case CLIENT_BLOB_EMPTY:
        write_u16(f->bytes, 0);
        f->len = 2;
        break;
    case CLIENT_BLOB_SWAPPED: {
        struct field other = f[1];
        f[1] = f[0];
        f[0] = other;
        break;
    }
    case CLIENT_BLOB_FLIPPED:
        f->bytes[2 + sample(content, b->variant, variants)] ^= (uint8_t)(1u << b->variant % 8);
        break;
    default: /* of the whole blob */
        break;
    }
}

static size_t join(struct client_bench *b, const struct field fields[FIELDS],
                   const struct client_blob *change)
{
    size_t len = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        size_t part = fields[i].len;
        bool ends = change->fault == CLIENT_BLOB_ENDS_IN && change->field == i + 1;
        if (ends) {
            part = sample(part, b->variant, b->script->variants);
        }
        memcpy(b->blob + len, fields[i].bytes, part);
        len += part;
        if (ends) {
            return len;
        }
    }
    if (change->fault == CLIENT_BLOB_TRAILING && change->value <= sizeof b->blob - len) {
        memset(b->blob + len, 0xa5, change->value);
        len += change->value;
    }
    return len;
}

static size_t again(struct client_bench *b, const uint8_t *blob, size_t len)
{
    memcpy(b->blob, blob, len);
    return len;
}

size_t client_blob_make(struct client_bench *b, const uint8_t key[DPS_KEY_SIZE],
                        const struct client_blob *change)
{
    struct material m;
    struct field fields[FIELDS];
    if (change->fault == CLIENT_BLOB_REPLAYED) {
        return again(b, b->old_challenge, b->old_challenge_len);
    }
    if (change->fault == CLIENT_BLOB_NONCE) {
        return again(b, b->challenge, b->challenge_len);
    }
    if (!gather(b, key, &m)) {
        return 0;
    }
    make_credential(fields, &m, change);
    make_duplicate(fields, &m, change);
    make_uri(&fields[5], &m);
    bool in_a_field = change->field >= 1 && change->field <= FIELDS && change->fault != CLIENT_BLOB_PUBLIC_16;
    if (in_a_field) {
        change_field(b, fields, change);
    }
    bytes_wipe(&m, sizeof m);
    return join(b, fields, change);
}
