/* SPDX-License-Identifier: MIT */
#include "dps/record.h"
#include "dps/step.h"
#include <string.h>

static const uint8_t magic[4] = {'D', 'P', 'S', '1'};

void dps_record_write(struct tpm2_writer *w, const struct dps_device *d)
{
    const size_t begin = w->len;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    tpm2_write_bytes(w, span_of(magic, sizeof magic));
    tpm2_write_2b(w, span_of_text(d->config->id_scope));
    tpm2_write_2b(w, span_of_text(d->registration_id));
    tpm2_write_2b(w, span_of_text(d->assigned_hub));
    tpm2_write_2b(w, span_of_text(d->device_id));
    tpm2_write_2b(w, span_of(d->srk_name, sizeof d->srk_name));
    tpm2_write_2b(w, span_of(d->wrapped_key, d->wrapped_key_len));
    tpm2_write_2b(w, span_of(d->key_public, d->key_public_len));
    if (w->error == 0) {
        const struct span all = {w->p + begin, w->len - begin};
        crypto_sha256(&all, 1, digest);
        tpm2_write_bytes(w, span_of(digest, sizeof digest));
    }
}

static int keep_bytes(uint8_t *field, size_t size, uint16_t *len, struct span bytes)
{
    if (bytes.len > size) {
        return DPS_E_STATE;
    }
    if (bytes.len > 0) {
        memcpy(field, bytes.p, bytes.len);
    }
    *len = (uint16_t)bytes.len;
    return 0;
}

int dps_record_read(struct span record, struct dps_device *d)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    if (record.len < sizeof magic + sizeof digest) {
        return DPS_E_STATE;
    }
    const struct span content = {record.p, record.len - sizeof digest};
    crypto_sha256(&content, 1, digest);
    if (!crypto_equal(digest, record.p + content.len, sizeof digest)) {
        return DPS_E_STATE;
    }
    struct tpm2_reader r = tpm2_reader_over(content);
    const struct span mark = tpm2_read_bytes(&r, sizeof magic);
    (void)tpm2_read_2b(&r); /* idScope: for people and for a later registration, not for tokens */
    const struct span registration_id = tpm2_read_2b(&r);
    const struct span hub = tpm2_read_2b(&r);
    const struct span device_id = tpm2_read_2b(&r);
    (void)tpm2_read_2b(&r); /* Name of the SRK: the TPM itself refuses the key under another one */
    const struct span wrapped = tpm2_read_2b(&r);
    const struct span public_2b = tpm2_read_2b(&r);
    if (tpm2_reader_end(&r) != 0 || !span_equal(mark, span_of(magic, sizeof magic)) ||
        dps_engine_keep_text(d->registration_id, sizeof d->registration_id, registration_id) != 0 ||
        dps_engine_keep_text(d->assigned_hub, sizeof d->assigned_hub, hub) != 0 ||
        dps_engine_keep_text(d->device_id, sizeof d->device_id, device_id) != 0 ||
        keep_bytes(d->wrapped_key, sizeof d->wrapped_key, &d->wrapped_key_len, wrapped) != 0 ||
        keep_bytes(d->key_public, sizeof d->key_public, &d->key_public_len, public_2b) != 0) {
        return DPS_E_STATE;
    }
    return 0;
}
