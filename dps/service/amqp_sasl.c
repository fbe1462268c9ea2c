/* SPDX-License-Identifier: MIT */
#include "dps/service/amqp_sasl.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/amqp_write.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"

#if DPS_WITH_AMQP

/* Control bytes of SASL. */
enum { PLAIN = 0x00, FIRST_SEGMENT = 0x80, LAST_SEGMENT = 0xC1 };
#define SEGMENT_MAX (DPS_AMQP_CHALLENGE_MAX - 1)
_Static_assert(DPS_ACTIVATION_BLOB_MAX <= 2 * SEGMENT_MAX, "a blob fits two challenges");

static enum dps_refusal offer(const struct dps_service *s, struct dps_amqp_door *d,
                              const struct dps_amqp_frame *f)
{
    if (f->kind != DPS_AMQP_SASL_HEADER) {
        return DPS_REFUSED_REQUEST;
    }
    dps_amqp_header_write(&d->out, true);
    dps_amqp_sasl_mechanism_write(&d->out, "TPM");
    d->state = DPS_AMQP_WAITS_INIT;
    d->midway = true;
    d->begun = s->now;
    return DPS_ACCEPTED;
}

/* 00 idScope 00 registrationId 00 EK_pub. */
static enum dps_refusal take_init(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    struct dps_amqp_sasl_init init;
    struct bytes scope;
    struct bytes id;
    if (f->kind != DPS_AMQP_SASL_INIT || dps_amqp_sasl_init_read(f, &init) != 0 ||
        !bytes_equal_public(init.mechanism, bytes_of_text("TPM"))) {
        return DPS_REFUSED_REQUEST;
    }
    struct bytes_reader r = bytes_reader_over(init.initial_response);
    const uint8_t control = bytes_read_u8(&r);
    const struct bytes ek = dps_split(dps_split(bytes_read_bytes(&r, r.left), 0, &scope), 0, &id);
    if (r.error != 0 || control != PLAIN || !dps_amqp_keep(scope, d->scope, sizeof d->scope, &d->scope_len) ||
        !dps_amqp_keep(id, d->id, sizeof d->id, &d->id_len) ||
        !dps_amqp_keep(ek, d->ek, sizeof d->ek, &d->ek_len)) {
        return DPS_REFUSED_REQUEST;
    }
    dps_amqp_sasl_challenge_write(&d->out, PLAIN, bytes_of(NULL, 0));
    d->state = DPS_AMQP_WAITS_SRK;
    return DPS_ACCEPTED;
}

/* 00 and what follows. */
static enum dps_refusal take_response(const struct dps_amqp_frame *f, uint8_t *to, size_t capacity,
                                      uint16_t *len)
{
    struct bytes response;
    if (f->kind != DPS_AMQP_SASL_RESPONSE || dps_amqp_sasl_response_read(f, &response) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    struct bytes_reader r = bytes_reader_over(response);
    const uint8_t control = bytes_read_u8(&r);
    const bool plain = r.error == 0 && control == PLAIN;
    return plain && dps_amqp_keep(bytes_read_bytes(&r, r.left), to, capacity, len) ? DPS_ACCEPTED
                                                                                   : DPS_REFUSED_REQUEST;
}

/* authenticationKey of a challenge as HTTPS has it. */
static bool read_blob(const struct dps_answer *a, uint8_t blob[DPS_ACTIVATION_BLOB_MAX], size_t *len)
{
    struct bytes root;
    struct bytes value;
    uint8_t base64[(DPS_ACTIVATION_BLOB_MAX + 2) / 3 * 4];
    size_t base64_len;
    return dps_json_check(bytes_written(&a->body), &root) == 0 &&
           dps_json_member(root, "authenticationKey", &value) == 0 &&
           dps_json_string(value, base64, sizeof base64, &base64_len) == 0 &&
           dps_base64_decode(bytes_of(base64, base64_len), blob, DPS_ACTIVATION_BLOB_MAX, len) == 0 &&
           *len > SEGMENT_MAX;
}

static enum dps_refusal challenge(struct dps_service *s, struct dps_amqp_door *d, struct dps_answer *a)
{
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    size_t len;
    dps_amqp_ask(s, d, DPS_AMQP_CHALLENGE, bytes_of(NULL, 0), a);
    if (a->refusal != DPS_ACCEPTED) {
        return a->refusal;
    }
    if (!read_blob(a, blob, &len)) {
        return DPS_REFUSED_INTERNAL;
    }
    dps_amqp_sasl_challenge_write(&d->out, FIRST_SEGMENT, bytes_of(blob, SEGMENT_MAX));
    (void)dps_amqp_keep(bytes_of(blob + SEGMENT_MAX, len - SEGMENT_MAX), d->held, sizeof d->held,
                        &d->held_len);
    d->state = DPS_AMQP_WAITS_ACK;
    return DPS_ACCEPTED;
}

static enum dps_refusal take_srk(struct dps_service *s, struct dps_amqp_door *d,
                                 const struct dps_amqp_frame *f, struct dps_answer *a)
{
    const enum dps_refusal no = take_response(f, d->srk, sizeof d->srk, &d->srk_len);
    return no == DPS_ACCEPTED ? challenge(s, d, a) : no;
}

static enum dps_refusal take_ack(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    uint16_t len;
    const enum dps_refusal no = take_response(f, NULL, 0, &len);
    if (no == DPS_ACCEPTED) {
        dps_amqp_sasl_challenge_write(&d->out, LAST_SEGMENT, bytes_of(d->held, d->held_len));
        d->state = DPS_AMQP_WAITS_TOKEN;
    }
    return no;
}

static enum dps_refusal take_token(struct dps_service *s, struct dps_amqp_door *d,
                                   const struct dps_amqp_frame *f, struct dps_answer *a)
{
    enum dps_refusal no = take_response(f, d->held, sizeof d->held, &d->held_len);
    if (no == DPS_ACCEPTED && d->held_len == 0) {
        no = DPS_REFUSED_TOKEN_FORM; /* without a token it would be another challenge */
    }
    if (no == DPS_ACCEPTED) {
        dps_amqp_ask(s, d, DPS_AMQP_PROOF, bytes_of(NULL, 0), a);
        no = a->refusal;
    }
    if (no == DPS_ACCEPTED) {
        dps_amqp_sasl_outcome_write(&d->out, DPS_AMQP_SASL_OK);
        d->state = DPS_AMQP_WAITS_HEADER;
    }
    return no;
}

enum dps_refusal dps_amqp_sasl(struct dps_service *s, struct dps_amqp_door *d, const struct dps_amqp_frame *f,
                               struct dps_answer *a)
{
    switch (d->state) {
    case DPS_AMQP_NEW:
        return offer(s, d, f);
    case DPS_AMQP_WAITS_INIT:
        return take_init(d, f);
    case DPS_AMQP_WAITS_SRK:
        return take_srk(s, d, f, a);
    case DPS_AMQP_WAITS_ACK:
        return take_ack(d, f);
    default:
        return take_token(s, d, f, a);
    }
}

#endif
