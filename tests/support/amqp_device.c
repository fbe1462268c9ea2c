/* SPDX-License-Identifier: MIT */
#include "tests/support/amqp_device.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/support/activation_open.h"
#include "tests/vectors/activation_blob.h"
#include <string.h>

#define RSA_STORAGE (5 * 256 + 64)

/* ---- The device ---- */

/* The vector's modulus under a true template. */
static size_t make_public(struct tpm2_public area, struct bytes vector, uint8_t *out, size_t capacity)
{
    struct tpm2_public source;
    struct bytes_writer w = bytes_writer_over(out, capacity);
    if (tpm2_public_parse_2b(vector, &source) != 0) {
        return 0;
    }
    area.unique = source.unique;
    tpm2_public_write_2b(&w, &area);
    return bytes_written(&w).len;
}

bool amqp_device_begin(struct amqp_device *d, const char *scope, const char *id, uint64_t expiry)
{
    *d = (struct amqp_device){.scope = scope, .id = id, .expiry = expiry};
    d->ek_len = make_public(tpm2_template_ek_l1(), bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b),
                            d->ek, sizeof d->ek);
    d->srk_len = make_public(tpm2_template_srk(), bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b),
                             d->srk, sizeof d->srk);
    tpm2_name_of(bytes_of(d->srk, d->srk_len), d->srk_name);
    return d->ek_len > 0 && d->srk_len > 0;
}

/* 00, or a control byte and a piece of the blob. */
static bool take_challenge(struct amqp_device *d, struct bytes challenge)
{
    if (challenge.len == 0) {
        return false;
    }
    if (challenge.len == 1) {
        return challenge.p[0] == 0;
    }
    const size_t more = challenge.len - 1;
    if (challenge.p[0] == 0x80) {
        d->blob_len = 0;
    } else if (challenge.p[0] != 0xC1) {
        return false;
    }
    if (more > sizeof d->blob - d->blob_len) {
        return false;
    }
    memcpy(d->blob + d->blob_len, challenge.p + 1, more);
    d->blob_len += more;
    return true;
}

static bool take_json(struct amqp_device *d, struct bytes json)
{
    struct bytes root;
    struct bytes value;
    uint8_t base64[2048];
    size_t len;
    if (dps_json_check(json, &root) != 0) {
        return false;
    }
    if (dps_json_member(root, "registrationState", &root) != 0 || dps_json_member(root, "tpm", &root) != 0 ||
        dps_json_member(root, "authenticationKey", &value) != 0) {
        return true;
    }
    return dps_json_string(value, base64, sizeof base64, &len) == 0 &&
           dps_base64_decode(bytes_of(base64, len), d->blob, sizeof d->blob, &d->blob_len) == 0;
}

bool amqp_device_take(struct amqp_device *d, const struct dps_amqp_frame *f)
{
    if (f->kind == DPS_AMQP_SASL_CHALLENGE) {
        struct dps_amqp_fields fields = dps_amqp_fields_of(&f->performative, f->kind);
        const struct bytes challenge = dps_amqp_binary(&fields, DPS_AMQP_NEEDED);
        return dps_amqp_fields_end(&fields) == 0 && take_challenge(d, challenge);
    }
    if (f->kind == DPS_AMQP_TRANSFER) {
        struct bytes_reader r = bytes_reader_over(f->payload);
        struct dps_amqp_value section = dps_amqp_value_read(&r);
        while (r.left > 0 && r.error == 0) {
            section = dps_amqp_value_read(&r);
        }
        return r.error == 0 && section.descriptor == 0x75 && take_json(d, section.inside);
    }
    return true;
}

bool amqp_device_open(const struct amqp_device *d, uint8_t key[DPS_KEY_SIZE])
{
    uint8_t numbers[2][RSA_STORAGE];
    struct crypto_rsa_private keys[2];
    const struct bytes ek = bytes_of(vector_ek_private_der, sizeof vector_ek_private_der);
    const struct bytes srk = bytes_of(vector_srk_private_der, sizeof vector_srk_private_der);
    return crypto_rsa_private_decode(ek, &keys[0], numbers[0], RSA_STORAGE) == 0 &&
           crypto_rsa_private_decode(srk, &keys[1], numbers[1], RSA_STORAGE) == 0 &&
           activation_open(bytes_of(d->blob, d->blob_len), &keys[0], &keys[1],
                           bytes_of(d->srk_name, sizeof d->srk_name), key) == 0;
}

bool amqp_device_token(const struct amqp_device *d, struct bytes_writer *w)
{
    uint8_t key[DPS_KEY_SIZE];
    uint8_t sr[200];
    uint8_t text[256];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct bytes_writer audience = bytes_writer_over(sr, sizeof sr);
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    if (!amqp_device_open(d, key)) {
        return false;
    }
    dps_write_text(&audience, d->scope);
    dps_write_text(&audience, "%2Fregistrations%2F");
    dps_write_text(&audience, d->id);
    dps_sas_write_string_to_sign(&to_sign, bytes_written(&audience), d->expiry);
    const struct bytes piece = bytes_written(&to_sign);
    crypto_hmac_sha256(bytes_of(key, sizeof key), &piece, 1, mac);
    dps_sas_write_token(w, bytes_written(&audience), mac, d->expiry, bytes_of_text("registration"));
    return w->error == 0;
}

/* ---- Frames ---- */

static struct dps_amqp_size frame, list;

static void begin(struct bytes_writer *w, uint8_t kind, uint32_t fields)
{
    frame = dps_amqp_frame_begin(w, kind >= DPS_AMQP_SASL_MECHANISMS ? 1 : 0);
    list = dps_amqp_list_begin(w, kind, fields);
}

static void end(struct bytes_writer *w)
{
    dps_amqp_end(w, list);
    dps_amqp_frame_end(w, frame);
}

void amqp_client_init(struct bytes_writer *w, const struct amqp_device *d)
{
    uint8_t text[512];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    bytes_write_u8(&t, 0);
    dps_write_text(&t, d->scope);
    bytes_write_u8(&t, 0);
    dps_write_text(&t, d->id);
    bytes_write_u8(&t, 0);
    bytes_write_bytes(&t, bytes_of(d->ek, d->ek_len));
    begin(w, DPS_AMQP_SASL_INIT, 3);
    dps_amqp_write_symbol(w, "TPM");
    dps_amqp_write_binary(w, bytes_written(&t));
    dps_amqp_write_string(w, bytes_of_text("dps.example"));
    end(w);
}

void amqp_client_response(struct bytes_writer *w, struct bytes data)
{
    begin(w, DPS_AMQP_SASL_RESPONSE, 1);
    dps_amqp_write_binary(w, data);
    end(w);
}

void amqp_client_open(struct bytes_writer *w, uint32_t max_frame_size)
{
    begin(w, DPS_AMQP_OPEN, 3);
    dps_amqp_write_string(w, bytes_of_text("client"));
    dps_amqp_write_null(w);
    dps_amqp_write_uint(w, max_frame_size);
    end(w);
}

void amqp_client_begin(struct bytes_writer *w, uint32_t window)
{
    begin(w, DPS_AMQP_BEGIN, 4);
    dps_amqp_write_null(w);
    dps_amqp_write_uint(w, 100);
    dps_amqp_write_uint(w, window);
    dps_amqp_write_uint(w, 100);
    end(w);
}

void amqp_client_attach(struct bytes_writer *w, const struct amqp_device *d, bool receives, uint32_t handle,
                        const char *address)
{
    uint8_t own[200];
    struct bytes_writer t = bytes_writer_over(own, sizeof own);
    dps_write_text(&t, d->scope);
    dps_write_text(&t, "/registrations/");
    dps_write_text(&t, d->id);
    begin(w, DPS_AMQP_ATTACH, 10);
    dps_amqp_write_string(w, bytes_of_text(receives ? "receiver" : "sender"));
    dps_amqp_write_uint(w, handle);
    dps_amqp_write_bool(w, receives);
    dps_amqp_write_null(w);
    dps_amqp_write_null(w);
    for (int i = 0; i < 2; i++) {
        const bool named = receives == (i == 0);
        const struct dps_amqp_size terminus = dps_amqp_list_begin(w, i == 0 ? 0x28 : 0x29, named ? 1 : 0);
        if (named) {
            dps_amqp_write_string(w, address != NULL ? bytes_of_text(address) : bytes_written(&t));
        }
        dps_amqp_end(w, terminus);
    }
    dps_amqp_write_null(w);
    dps_amqp_write_null(w);
    dps_amqp_write_uint(w, 0);
    end(w);
}

void amqp_client_credit(struct bytes_writer *w, uint32_t handle, uint32_t credit)
{
    const struct dps_amqp_flow flow = {.incoming_window = 100,
                                       .outgoing_window = 100,
                                       .has_handle = true,
                                       .handle = handle,
                                       .credit = credit};
    dps_amqp_flow_write(w, &flow);
}

void amqp_client_request(struct bytes_writer *w, uint32_t handle, uint32_t delivery_id, bool settled,
                         const char *type, const char *operation)
{
    frame = dps_amqp_frame_begin(w, 0);
    list = dps_amqp_list_begin(w, DPS_AMQP_TRANSFER, 5);
    dps_amqp_write_uint(w, handle);
    dps_amqp_write_uint(w, delivery_id);
    dps_amqp_write_binary(w, bytes_of_text("tag"));
    dps_amqp_write_uint(w, 0);
    dps_amqp_write_bool(w, settled);
    dps_amqp_end(w, list);
    const struct dps_amqp_size properties = dps_amqp_list_begin(w, 0x73, 6);
    for (int i = 0; i < 5; i++) {
        dps_amqp_write_null(w);
    }
    dps_amqp_write_string(w, bytes_of_text("correlation"));
    dps_amqp_end(w, properties);
    const struct dps_amqp_size map = dps_amqp_map_begin(w, 0x74, operation != NULL ? 4 : 2);
    dps_amqp_write_string(w, bytes_of_text("iotdps-operation-type"));
    dps_amqp_write_string(w, bytes_of_text(type));
    if (operation != NULL) {
        dps_amqp_write_string(w, bytes_of_text("iotdps-operation-id"));
        dps_amqp_write_string(w, bytes_of_text(operation));
    }
    dps_amqp_end(w, map);
    bytes_write_bytes(w, bytes_of("\0\x53\x75\xa0\0", 5));
    dps_amqp_frame_end(w, frame);
}
