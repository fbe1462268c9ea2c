/* SPDX-License-Identifier: MIT */
#include "dps/protocol/amqp.h"
#include "dps/protocol/limits.h"

#if DPS_WITH_AMQP

/* ---- The beginning of a connection [AMQP 1.0 2.2] and of a frame [AMQP 1.0 2.3] ---- */

#define HEADER_LEN 8
#define WORD 4

static int read_header(struct bytes input, struct dps_amqp_frame *f)
{
    static const uint8_t amqp[] = {'A', 'M', 'Q', 'P', 0, 1, 0, 0};
    static const uint8_t sasl[] = {'A', 'M', 'Q', 'P', 3, 1, 0, 0};
    f->len = HEADER_LEN;
    if (input.len < HEADER_LEN) {
        return BYTES_E_MORE;
    }
    const struct bytes header = bytes_of(input.p, HEADER_LEN);
    if (bytes_equal_public(header, bytes_of(amqp, sizeof amqp))) {
        f->kind = DPS_AMQP_HEADER;
        return BYTES_OK;
    }
    f->kind = DPS_AMQP_SASL_HEADER;
    return bytes_equal_public(header, bytes_of(sasl, sizeof sasl)) ? BYTES_OK : BYTES_E_ALGORITHM;
}

static bool fits_type(uint8_t kind, uint8_t type)
{
    const bool sasl = kind >= DPS_AMQP_SASL_MECHANISMS && kind <= DPS_AMQP_SASL_OUTCOME;
    return type == 1 ? sasl : kind >= DPS_AMQP_OPEN && kind <= DPS_AMQP_CLOSE;
}

static int read_body(struct bytes body, uint8_t type, struct dps_amqp_frame *f)
{
    struct bytes_reader r = bytes_reader_over(body);
    if (body.len == 0) {
        f->kind = DPS_AMQP_HEARTBEAT;
        return type == 0 ? BYTES_OK : BYTES_E_FORMAT;
    }
    f->performative = dps_amqp_value_read(&r);
    f->kind = f->performative.descriptor;
    f->payload = bytes_read_bytes(&r, r.left);
    const bool right = fits_type(f->kind, type) && (f->payload.len == 0 || f->kind == DPS_AMQP_TRANSFER);
    return r.error == 0 && right ? BYTES_OK : BYTES_E_FORMAT;
}

int dps_amqp_frame_read(struct bytes input, size_t maximum, struct dps_amqp_frame *f)
{
    struct bytes_reader r = bytes_reader_over(input);
    *f = (struct dps_amqp_frame){0};
    if (input.len > 0 && input.p[0] == 'A') {
        return read_header(input, f); /* no frame is as long as one that begins so */
    }
    if (input.len < HEADER_LEN) {
        return BYTES_E_MORE;
    }
    const uint32_t size = bytes_read_u32(&r);
    const size_t offset = (size_t)bytes_read_u8(&r) * WORD;
    const uint8_t type = bytes_read_u8(&r);
    f->channel = bytes_read_u16(&r);
    if (size < HEADER_LEN || offset < HEADER_LEN || offset > size || type > 1) {
        return BYTES_E_FORMAT;
    }
    if (size > maximum) {
        return BYTES_E_LIMIT;
    }
    f->len = (size_t)size;
    if (input.len < f->len) {
        return BYTES_E_MORE;
    }
    bytes_skip(&r, offset - HEADER_LEN);
    return read_body(bytes_read_bytes(&r, f->len - offset), type, f);
}

static struct dps_amqp_fields fields_of(const struct dps_amqp_frame *f)
{
    return dps_amqp_fields_of(&f->performative, f->kind);
}

/* ---- SASL [AMQP 1.0 5.3.3] ---- */

int dps_amqp_sasl_init_read(const struct dps_amqp_frame *f, struct dps_amqp_sasl_init *init)
{
    struct dps_amqp_fields fields = fields_of(f);
    init->mechanism = dps_amqp_symbol(&fields, DPS_AMQP_NEEDED);
    init->initial_response = dps_amqp_binary(&fields, DPS_AMQP_OPTIONAL);
    (void)dps_amqp_string(&fields, DPS_AMQP_OPTIONAL); /* hostname: clients do not agree what it is */
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_sasl_response_read(const struct dps_amqp_frame *f, struct bytes *response)
{
    struct dps_amqp_fields fields = fields_of(f);
    *response = dps_amqp_binary(&fields, DPS_AMQP_NEEDED);
    return dps_amqp_fields_end(&fields);
}

/* ---- Connection, session and links [AMQP 1.0 2.7] ---- */

int dps_amqp_open_read(const struct dps_amqp_frame *f, uint32_t *max_frame_size)
{
    struct dps_amqp_fields fields = fields_of(f);
    (void)dps_amqp_string(&fields, DPS_AMQP_NEEDED);   /* container-id */
    (void)dps_amqp_string(&fields, DPS_AMQP_OPTIONAL); /* hostname */
    *max_frame_size = dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, UINT32_MAX);
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_begin_read(const struct dps_amqp_frame *f, struct dps_amqp_begin *b)
{
    struct dps_amqp_fields fields = fields_of(f);
    const struct dps_amqp_value remote_channel = dps_amqp_any(&fields);
    b->next_outgoing_id = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    b->incoming_window = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    (void)dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0); /* outgoing-window */
    const int error = dps_amqp_fields_end(&fields);
    return error == 0 && !dps_amqp_is_null(&remote_channel) ? BYTES_E_FORMAT
                                                            : error; /* nobody has asked for it */
}

/* The address of a source [AMQP 1.0 3.5.3] or target [AMQP 1.0 3.5.4] stands first. */
#define SOURCE 0x28
#define TARGET 0x29
static struct bytes read_address(struct bytes_reader *r, const struct dps_amqp_value *v, uint8_t descriptor)
{
    struct bytes address = {NULL, 0};
    if (!dps_amqp_is_null(v)) {
        struct dps_amqp_fields fields = dps_amqp_fields_of(v, descriptor);
        address = dps_amqp_string(&fields, DPS_AMQP_OPTIONAL);
        if (dps_amqp_fields_end(&fields) != 0) {
            bytes_reader_fail(r, BYTES_E_FORMAT);
        }
    }
    return address;
}

/* [AMQP 1.0 2.8.2]. It is sent back, so nothing else may stand there. */
static bool is_settle_mode(const struct dps_amqp_value *v)
{
    return dps_amqp_is_null(v) || (v->descriptor == 0 && v->code == 0x50 && v->inside.p[0] <= 2);
}

int dps_amqp_attach_read(const struct dps_amqp_frame *f, struct dps_amqp_attach *a)
{
    struct dps_amqp_fields fields = fields_of(f);
    a->name = dps_amqp_string(&fields, DPS_AMQP_NEEDED);
    a->handle = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    a->receives = dps_amqp_bool(&fields, DPS_AMQP_NEEDED);
    a->sender_settles = dps_amqp_any(&fields);
    (void)dps_amqp_any(&fields); /* rcv-settle-mode */
    a->source = dps_amqp_any(&fields);
    a->target = dps_amqp_any(&fields);
    (void)dps_amqp_any(&fields); /* unsettled */
    (void)dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    (void)dps_amqp_uint(&fields, a->receives ? DPS_AMQP_OPTIONAL : DPS_AMQP_NEEDED,
                        0);      /* initial-delivery-count */
    (void)dps_amqp_any(&fields); /* max-message-size */
    (void)dps_amqp_any(&fields); /* capabilities */
    (void)dps_amqp_any(&fields);
    const struct dps_amqp_value properties = dps_amqp_any(&fields);
    a->api_version = dps_amqp_map_text(&fields.r, &properties, "com.microsoft:api-version");
    const struct bytes from = read_address(&fields.r, &a->source, SOURCE);
    const struct bytes to = read_address(&fields.r, &a->target, TARGET);
    a->address = a->receives ? from : to;
    const int error = dps_amqp_fields_end(&fields);
    return error == 0 && !is_settle_mode(&a->sender_settles) ? BYTES_E_FORMAT : error;
}

int dps_amqp_flow_read(const struct dps_amqp_frame *f, struct dps_amqp_flow *flow)
{
    struct dps_amqp_fields fields = fields_of(f);
    flow->next_incoming_id = dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0);
    flow->incoming_window = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    flow->next_outgoing_id = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    flow->outgoing_window = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    struct dps_amqp_fields ahead = fields;
    const struct dps_amqp_value handle = dps_amqp_any(&ahead);
    flow->has_handle = !dps_amqp_is_null(&handle);
    flow->handle = dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0);
    flow->delivery_count = dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0);
    flow->credit = dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0);
    (void)dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0); /* available */
    flow->drain = dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    flow->echo = dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_transfer_read(const struct dps_amqp_frame *f, struct dps_amqp_transfer *t)
{
    struct dps_amqp_fields fields = fields_of(f);
    t->handle = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    t->delivery_id = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0); /* a delivery is one transfer here */
    (void)dps_amqp_binary(&fields, DPS_AMQP_NEEDED);             /* delivery-tag */
    (void)dps_amqp_uint(&fields, DPS_AMQP_OPTIONAL, 0);          /* message-format */
    t->settled = dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    t->more = dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    (void)dps_amqp_any(&fields);                     /* rcv-settle-mode */
    (void)dps_amqp_any(&fields);                     /* state */
    (void)dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL); /* resume */
    t->aborted = dps_amqp_bool(&fields, DPS_AMQP_OPTIONAL);
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_disposition_read(const struct dps_amqp_frame *f)
{
    struct dps_amqp_fields fields = fields_of(f);
    (void)dps_amqp_bool(&fields, DPS_AMQP_NEEDED);    /* role */
    (void)dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0); /* first */
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_detach_read(const struct dps_amqp_frame *f, uint32_t *handle)
{
    struct dps_amqp_fields fields = fields_of(f);
    *handle = dps_amqp_uint(&fields, DPS_AMQP_NEEDED, 0);
    return dps_amqp_fields_end(&fields);
}

int dps_amqp_end_read(const struct dps_amqp_frame *f)
{
    struct dps_amqp_fields fields = fields_of(f);
    return dps_amqp_fields_end(&fields);
}

/* ---- Messages [AMQP 1.0 3.2] ---- */

enum { PROPERTIES = 0x73, APPLICATION_PROPERTIES = 0x74, FIRST_SECTION = 0x70, LAST_SECTION = 0x78 };
#define CORRELATION_ID 5 /* fields that stand before it */

/* A message-id: an unsigned long, a UUID, or as many bytes or characters as will do [AMQP 1.0 3.2.11]. */
static bool is_message_id(const struct dps_amqp_value *v)
{
    static const uint8_t codes[] = {0x44, 0x53, 0x80, 0x98, 0xa0, 0xa1, 0xb0, 0xb1};
    return v->descriptor == 0 && v->inside.len <= 255 && memchr(codes, v->code, sizeof codes) != NULL;
}

static int read_properties(const struct dps_amqp_value *section, struct dps_amqp_message *m)
{
    struct dps_amqp_fields fields = dps_amqp_fields_of(section, PROPERTIES);
    for (int i = 0; i < CORRELATION_ID; i++) {
        (void)dps_amqp_any(&fields);
    }
    m->correlation_id = dps_amqp_any(&fields);
    const int error = dps_amqp_fields_end(&fields);
    const bool right = dps_amqp_is_null(&m->correlation_id) || is_message_id(&m->correlation_id);
    return error == 0 && !right ? BYTES_E_FORMAT : error;
}

/* The sections stand in the order of their numbers, none twice; the body may have several, which have one number. */
int dps_amqp_message_read(struct bytes payload, struct dps_amqp_message *m)
{
    struct bytes_reader r = bytes_reader_over(payload);
    uint8_t before = FIRST_SECTION - 1;
    int error = 0;
    *m = (struct dps_amqp_message){0};
    while (r.left > 0 && r.error == 0 && error == 0) {
        const struct dps_amqp_value section = dps_amqp_value_read(&r);
        const bool body = section.descriptor > APPLICATION_PROPERTIES;
        if (section.descriptor > LAST_SECTION || section.descriptor < before ||
            (section.descriptor == before && !body)) {
            error = BYTES_E_FORMAT;
        } else if (section.descriptor == PROPERTIES) {
            error = read_properties(&section, m);
        } else if (section.descriptor == APPLICATION_PROPERTIES) {
            m->properties = section;
        }
        before = section.descriptor;
    }
    return error != 0 ? error : r.error;
}

#endif
