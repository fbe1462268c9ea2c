/* SPDX-License-Identifier: MIT */
#include "tests/conformance/service_amqp.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include <string.h>

#define PORT 5671
#define FRAME_MAX 65536
#define FRAMES_MAX 16  /* that may come before an answer */
#define PUT_OFF_MAX 60 /* seconds */

const struct amqp_client amqp_clients[4] = {
    {"Node", "localhost", "%s", "7c1e5d0a-0c43-4d0e-9a52-6b8c7d3d1f55", AMQP_BODY_JSON, true},
    {"C#", "%s", "%s", "7c1e5d0a-0c43-4d0e-9a52-6b8c7d3d1f55", AMQP_BODY_EMPTY, true},
    {"Java", "localhost:5671", "/%s", NULL, AMQP_BODY_NONE, false},
    {"C", NULL, "amqps://localhost/%s", NULL, AMQP_BODY_JSON, false},
};

bool amqp_wanted(struct conformance *c)
{
    const bool wanted = service_given.amqp != NULL;
    if (!wanted) {
        conformance_skip(c, "needs provisioning over AMQP: --amqp, or --amqp=HOST:PORT");
    }
    return wanted;
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

bool amqp_next(struct conformance *c, struct dps_amqp_frame *f)
{
    struct service *s = service_of(c);
    int error = BYTES_E_MORE;
    while ((error = dps_amqp_frame_read(service_road_arrived(s), FRAME_MAX, f)) == BYTES_E_MORE) {
        if (service_road_more(s) != 0) {
            return false;
        }
    }
    return error == 0;
}

static void take(struct conformance *c, const struct dps_amqp_frame *f)
{
    service_road_take(service_of(c), f->len);
}

void amqp_header(struct conformance *c, bool sasl)
{
    uint8_t bytes[8];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    dps_amqp_header_write(&w, sasl);
    service_road_send(c, bytes_written(&w));
}

/* The next frame, or header, is of this kind. */
static bool take_kind(struct conformance *c, uint8_t kind, struct dps_amqp_frame *f)
{
    const bool came = amqp_next(c, f);
    return conformance_check(c, came && f->kind == kind, "expected the frame %#x of AMQP, got %#x", kind,
                             came ? f->kind : 0);
}

static bool pass_kind(struct conformance *c, uint8_t kind)
{
    struct dps_amqp_frame f;
    const bool came = take_kind(c, kind, &f);
    if (came) {
        take(c, &f);
    }
    return came;
}

/* "%s" of a text. */
static void fill(const struct service_device *d, const char *form, char *text, size_t size)
{
    const char *place = strstr(form, "%s");
    const int before = place != NULL ? (int)(place - form) : (int)strlen(form);
    snprintf(text, size, "%.*s", before, form);
    if (place != NULL) {
        const size_t len = strlen(text);
        snprintf(text + len, size - len, "%s/registrations/%s", service_given.scope, d->id);
    }
}

/* ---- SASL -------------------------------------------------------------------------------------------------------- */

/* An array of symbols, or one symbol. */
static bool names_tpm(struct bytes mechanisms)
{
    for (size_t i = 0; i + 3 <= mechanisms.len; i++) {
        if (memcmp(mechanisms.p + i, "TPM", 3) == 0) {
            return true;
        }
    }
    return false;
}

bool amqp_begin(struct conformance *c)
{
    struct dps_amqp_frame f;
    if (!service_road_open(c, service_given.amqp, PORT, service_of(c)->host)) {
        return false;
    }
    const char *before = conformance_stand_on(c, "SVC-S06-101");
    amqp_header(c, true);
    const bool begun =
        pass_kind(c, DPS_AMQP_SASL_HEADER) && take_kind(c, DPS_AMQP_SASL_MECHANISMS, &f) &&
        conformance_check(c, names_tpm(f.performative.inside), "sasl-mechanisms does not offer TPM");
    if (begun) {
        take(c, &f);
    }
    conformance_stand_back(c, before);
    return begun;
}

void amqp_send_init(struct conformance *c, const struct service_device *d, const struct amqp_client *as,
                    struct bytes ek)
{
    uint8_t frame[2048];
    uint8_t first[1024];
    char host[300];
    struct bytes_writer w = bytes_writer_over(frame, sizeof frame);
    struct bytes_writer r = bytes_writer_over(first, sizeof first);
    const uint8_t zero = 0;
    bytes_write_bytes(&r, bytes_of(&zero, 1));
    dps_write_text(&r, service_given.scope);
    bytes_write_bytes(&r, bytes_of(&zero, 1));
    dps_write_text(&r, d->id);
    bytes_write_bytes(&r, bytes_of(&zero, 1));
    bytes_write_bytes(&r, ek);
    const struct dps_amqp_size size = dps_amqp_frame_begin(&w, 1);
    const struct dps_amqp_size list =
        dps_amqp_list_begin(&w, DPS_AMQP_SASL_INIT, as->hostname != NULL ? 3 : 2);
    dps_amqp_write_symbol(&w, "TPM");
    dps_amqp_write_binary(&w, bytes_written(&r));
    if (as->hostname != NULL) {
        fill(d, as->hostname, host, sizeof host);
        dps_amqp_write_string(&w, bytes_of_text(host));
    }
    dps_amqp_end(&w, list);
    dps_amqp_frame_end(&w, size);
    service_road_send(c, bytes_written(&w));
}

void amqp_send_response(struct conformance *c, uint8_t control, struct bytes data)
{
    uint8_t frame[2048];
    uint8_t text[1536];
    struct bytes_writer w = bytes_writer_over(frame, sizeof frame);
    struct bytes_writer r = bytes_writer_over(text, sizeof text);
    bytes_write_bytes(&r, bytes_of(&control, 1));
    bytes_write_bytes(&r, data);
    const struct dps_amqp_size size = dps_amqp_frame_begin(&w, 1);
    const struct dps_amqp_size list = dps_amqp_list_begin(&w, DPS_AMQP_SASL_RESPONSE, 1);
    dps_amqp_write_binary(&w, bytes_written(&r));
    dps_amqp_end(&w, list);
    dps_amqp_frame_end(&w, size);
    service_road_send(c, bytes_written(&w));
}

bool amqp_challenge(struct conformance *c, uint8_t *bytes, size_t capacity, size_t *len)
{
    struct dps_amqp_frame f;
    *len = 0;
    if (!amqp_next(c, &f) || f.kind != DPS_AMQP_SASL_CHALLENGE) {
        return false;
    }
    struct dps_amqp_fields fields = dps_amqp_fields_of(&f.performative, DPS_AMQP_SASL_CHALLENGE);
    const struct bytes data = dps_amqp_binary(&fields, DPS_AMQP_NEEDED);
    const bool fits = fields.r.error == 0 && data.len <= capacity && f.len <= DPS_AMQP_SASL_FRAME_MAX;
    if (fits) {
        memcpy(bytes, data.p, data.len);
        *len = data.len;
    }
    take(c, &f);
    return fits;
}

static unsigned outcome_code(const struct dps_amqp_frame *f)
{
    struct dps_amqp_fields fields = dps_amqp_fields_of(&f->performative, DPS_AMQP_SASL_OUTCOME);
    const struct dps_amqp_value code = dps_amqp_any(&fields);
    return code.inside.len == 1 ? code.inside.p[0] : AMQP_NO_OUTCOME;
}

unsigned amqp_outcome(struct conformance *c)
{
    struct dps_amqp_frame f;
    if (!amqp_next(c, &f) || f.kind != DPS_AMQP_SASL_OUTCOME) {
        return AMQP_NO_OUTCOME;
    }
    const unsigned number = outcome_code(&f);
    take(c, &f);
    return number;
}

/* As the blob of HTTP's JSON, which can be opened. */
static void keep_blob(struct service *s, struct bytes blob)
{
    static char json[8192];
    char text[4096];
    service_base64(blob, text, sizeof text);
    snprintf(json, sizeof json, "{\"authenticationKey\":\"%s\"}", text);
    s->body = bytes_of_text(json);
    (void)dps_json_check(s->body, &s->json);
}

/* Both segments. */
static bool take_blob(struct conformance *c)
{
    uint8_t blob[2 * DPS_AMQP_SASL_FRAME_MAX];
    uint8_t piece[DPS_AMQP_SASL_FRAME_MAX];
    size_t len = 0;
    size_t size = 0;
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t control = i == 0 ? 0x80 : 0xc1;
        const bool came = amqp_challenge(c, piece, sizeof piece, &size) && size > 1;
        if (!conformance_check(
                c, came && piece[0] == control,
                "segment %u of the blob must begin with %#x, as Java's SDK takes no other one: got %#x",
                i + 1, control, came ? piece[0] : 0)) {
            return false;
        }
        memcpy(blob + len, piece + 1, size - 1);
        len += size - 1;
        if (i == 0) {
            amqp_send_response(c, 0, bytes_of(NULL, 0));
        }
    }
    keep_blob(service_of(c), bytes_of(blob, len));
    return true;
}

/* Up to the SRK. */
static bool ask_for_blob(struct conformance *c, struct service_device *d, const struct amqp_client *as)
{
    uint8_t first[8] = {0};
    size_t len;
    if (!amqp_begin(c)) {
        return false;
    }
    amqp_send_init(c, d, as, bytes_of(d->ek->public_2b, d->ek->public_len));
    const char *before = conformance_stand_on(c, "SVC-S06-102");
    const bool asked =
        conformance_check(c, amqp_challenge(c, first, sizeof first, &len) && len == 1 && first[0] == 0,
                          "the first challenge must be one byte, 0: Java's SDK takes nothing else");
    conformance_stand_back(c, before);
    if (asked) {
        amqp_send_response(c, 0, bytes_of(d->srk->public_2b, d->srk->public_len));
    }
    return asked;
}

/* Is it asked too often? HTTP would answer 429. */
static bool is_put_off(struct conformance *c)
{
    struct dps_amqp_frame f;
    return amqp_next(c, &f) && f.kind == DPS_AMQP_SASL_OUTCOME && outcome_code(&f) == DPS_AMQP_SASL_TEMPORARY;
}

bool amqp_prove(struct conformance *c, struct service_device *d, const struct amqp_client *as)
{
    const struct port_clock clock = posix_clock();
    bool asked = ask_for_blob(c, d, as);
    for (unsigned i = 0; i < PUT_OFF_MAX && asked && is_put_off(c); i++) {
        (void)clock.sleep_ms(clock.context, 1000);
        asked = ask_for_blob(c, d, as);
    }
    if (!asked) {
        return false;
    }
    const char *before = conformance_stand_on(c, "SVC-S06-103");
    const bool taken = take_blob(c);
    conformance_stand_back(c, before);
    if (!taken || !service_open_blob(c, d, "authenticationKey")) {
        return false;
    }
    memset(d->nonce, 0, sizeof d->nonce);
    memcpy(d->nonce, service_of(c)->blob.sensitive.key.p, service_of(c)->blob.sensitive.key.len);
    return true;
}

/* ---- After SASL -------------------------------------------------------------------------------------------------- */

static void write_attach(struct bytes_writer *w, const struct service_device *d, const struct amqp_client *as,
                         bool receives)
{
    char address[512];
    fill(d, as->address, address, sizeof address);
    const struct dps_amqp_size size = dps_amqp_frame_begin(w, 0);
    const struct dps_amqp_size list = dps_amqp_list_begin(w, DPS_AMQP_ATTACH, receives ? 7 : 10);
    dps_amqp_write_string(w, bytes_of_text(receives ? "receiver" : "sender"));
    dps_amqp_write_uint(w, receives ? 0 : 1);
    dps_amqp_write_bool(w, receives);
    dps_amqp_write_null(w);
    dps_amqp_write_null(w);
    for (unsigned i = 0; i < 2; i++) { /* source and target */
        const bool named = receives == (i == 0);
        const struct dps_amqp_size end = dps_amqp_list_begin(w, (uint8_t)(0x28 + i), named);
        if (named) {
            dps_amqp_write_string(w, bytes_of_text(address));
        }
        dps_amqp_end(w, end);
    }
    if (!receives) {
        dps_amqp_write_null(w);
        dps_amqp_write_null(w);
        dps_amqp_write_uint(w, 0);
    }
    dps_amqp_end(w, list);
    dps_amqp_frame_end(w, size);
}

/* The attach that comes back names what was asked for. */
static bool attached(struct conformance *c, const struct service_device *d, const struct amqp_client *as)
{
    struct dps_amqp_frame f;
    char address[512];
    fill(d, as->address, address, sizeof address);
    if (!take_kind(c, DPS_AMQP_ATTACH, &f)) {
        return false;
    }
    struct dps_amqp_fields fields = dps_amqp_fields_of(&f.performative, DPS_AMQP_ATTACH);
    for (unsigned i = 0; i < 5; i++) {
        (void)dps_amqp_any(&fields);
    }
    const struct dps_amqp_value ends[2] = {dps_amqp_any(&fields), dps_amqp_any(&fields)};
    bool named = false;
    for (unsigned i = 0; i < 2; i++) {
        struct dps_amqp_fields end = dps_amqp_fields_of(&ends[i], (uint8_t)(0x28 + i));
        const struct dps_amqp_value v = dps_amqp_any(&end);
        named = named || bytes_equal_public(v.inside, bytes_of_text(address));
    }
    take(c, &f);
    return conformance_check(c, named, "the attach that came back does not name \"%s\"", address);
}

/* As one who begins: there is no channel yet that it answers. */
static void write_begin(struct bytes_writer *w)
{
    const struct dps_amqp_size size = dps_amqp_frame_begin(w, 0);
    const struct dps_amqp_size list = dps_amqp_list_begin(w, DPS_AMQP_BEGIN, 4);
    dps_amqp_write_null(w);
    dps_amqp_write_uint(w, 0);
    dps_amqp_write_uint(w, 2048);
    dps_amqp_write_uint(w, 2048);
    dps_amqp_end(w, list);
    dps_amqp_frame_end(w, size);
}

static bool open_links(struct conformance *c, const struct service_device *d, const struct amqp_client *as)
{
    uint8_t frames[4096];
    struct bytes_writer w = bytes_writer_over(frames, sizeof frames);
    const struct dps_amqp_flow credit = {
        .incoming_window = 2048, .outgoing_window = 2048, .has_handle = true, .handle = 0, .credit = 10};
    dps_amqp_header_write(&w, false);
    dps_amqp_open_write(&w, "conformance", FRAME_MAX);
    write_begin(&w);
    write_attach(&w, d, as, true);
    if (!as->receiver_first) {
        write_attach(&w, d, as, false);
    }
    service_road_send(c, bytes_written(&w));
    if (!pass_kind(c, DPS_AMQP_HEADER) || !pass_kind(c, DPS_AMQP_OPEN) || !pass_kind(c, DPS_AMQP_BEGIN) ||
        !attached(c, d, as)) {
        return false;
    }
    w = bytes_writer_over(frames, sizeof frames);
    dps_amqp_flow_write(&w, &credit);
    if (as->receiver_first) {
        write_attach(&w, d, as, false);
    }
    service_road_send(c, bytes_written(&w));
    return attached(c, d, as) && pass_kind(c, DPS_AMQP_FLOW);
}

static void write_properties(struct bytes_writer *w, const struct amqp_client *as, const char *operation)
{
    if (as->correlation_id != NULL) {
        const struct dps_amqp_size list = dps_amqp_list_begin(w, 0x73, 6);
        for (int i = 0; i < 5; i++) {
            dps_amqp_write_null(w);
        }
        dps_amqp_write_string(w, bytes_of_text(as->correlation_id));
        dps_amqp_end(w, list);
    }
    const struct dps_amqp_size map = dps_amqp_map_begin(w, 0x74, operation != NULL ? 4 : 2);
    dps_amqp_write_string(w, bytes_of_text("iotdps-operation-type"));
    dps_amqp_write_string(
        w, bytes_of_text(operation != NULL ? "iotdps-get-operationstatus" : "iotdps-register"));
    if (operation != NULL) {
        dps_amqp_write_string(w, bytes_of_text("iotdps-operation-id"));
        dps_amqp_write_string(w, bytes_of_text(operation));
    }
    dps_amqp_end(w, map);
}

static void write_body(struct bytes_writer *w, const struct service_device *d, const struct amqp_client *as,
                       bool poll)
{
    char json[SERVICE_TEXT_MAX] = "";
    if (as->body == AMQP_BODY_NONE && !poll) {
        return;
    }
    if (as->body == AMQP_BODY_JSON && !poll) {
        service_body(d, json, sizeof json);
    }
    bytes_write_bytes(w, bytes_of("\0\x53", 2));
    bytes_write_u8(w, as->body == AMQP_BODY_VALUE || poll ? 0x77 : 0x75);
    if (as->body == AMQP_BODY_VALUE || poll) {
        dps_amqp_write_string(w, bytes_of_text(json));
    } else {
        dps_amqp_write_binary(w, bytes_of_text(json));
    }
}

static void send_message(struct conformance *c, const struct service_device *d, const struct amqp_client *as,
                         uint32_t number, const char *operation)
{
    uint8_t bytes[8192];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    const struct dps_amqp_size size = dps_amqp_frame_begin(&w, 0);
    const struct dps_amqp_size list = dps_amqp_list_begin(&w, DPS_AMQP_TRANSFER, 4);
    const uint8_t tag = (uint8_t)number;
    dps_amqp_write_uint(&w, 1);
    dps_amqp_write_uint(&w, number);
    dps_amqp_write_binary(&w, bytes_of(&tag, 1));
    dps_amqp_write_uint(&w, 0);
    dps_amqp_end(&w, list);
    write_properties(&w, as, operation);
    write_body(&w, d, as, operation != NULL);
    dps_amqp_frame_end(&w, size);
    service_road_send(c, bytes_written(&w));
}

/* A message's data section and correlation id. Without the one Node's SDK waits for ever, and without the other too. */
static bool take_message(struct conformance *c, const struct amqp_client *as, struct bytes payload)
{
    static uint8_t json[16384];
    struct service *s = service_of(c);
    struct bytes_reader r = bytes_reader_over(payload);
    bool matched = as->correlation_id == NULL;
    size_t len = 0;
    while (r.left > 0 && r.error == 0) {
        const struct dps_amqp_value v = dps_amqp_value_read(&r);
        if (v.descriptor == 0x73) {
            struct dps_amqp_fields fields = dps_amqp_fields_of(&v, 0x73);
            for (int i = 0; i < 5; i++) {
                (void)dps_amqp_any(&fields);
            }
            const struct dps_amqp_value id = dps_amqp_any(&fields);
            matched = matched || bytes_equal_public(id.inside, bytes_of_text(as->correlation_id));
        } else if (v.descriptor == 0x75 && v.inside.len <= sizeof json) {
            len = v.inside.len;
            memcpy(json, v.inside.p, len);
        }
    }
    s->body = bytes_of(json, len);
    return conformance_check(c, r.error == 0 && dps_json_check(s->body, &s->json) == 0,
                             "an answer must have a data section with JSON") &&
           conformance_check(c, matched, "an answer must have the correlation-id of its request");
}

/* The answer to a message; a disposition and a flow may come before or after it. */
static bool take_answer(struct conformance *c, const struct amqp_client *as)
{
    struct dps_amqp_frame f;
    for (unsigned i = 0; i < FRAMES_MAX && amqp_next(c, &f); i++) {
        const uint8_t kind = f.kind;
        if (kind == DPS_AMQP_TRANSFER) {
            const bool taken = take_message(c, as, f.payload);
            take(c, &f);
            return taken;
        }
        take(c, &f);
        if (kind != DPS_AMQP_DISPOSITION && kind != DPS_AMQP_FLOW && kind != DPS_AMQP_HEARTBEAT) {
            break;
        }
    }
    return conformance_check(c, false, "there was no answer to the message");
}

bool amqp_register(struct conformance *c, struct service_device *d, const struct amqp_client *as)
{
    const struct service *s = service_of(c);
    char token[1024];
    char status[32] = "";
    service_device_token(d, d->nonce, token, sizeof token);
    amqp_send_response(c, 0, bytes_of_text(token));
    const unsigned code = amqp_outcome(c);
    if (!conformance_check(c, code == 0, "the token: expected the outcome 0 of SASL, got %u", code) ||
        !open_links(c, d, as)) {
        return false;
    }
    send_message(c, d, as, 0, NULL);
    if (!take_answer(c, as) || !service_take_operation(c, d)) {
        return false;
    }
    for (uint32_t i = 1; i <= 30; i++) {
        const struct port_clock clock = posix_clock();
        send_message(c, d, as, i, d->operation);
        if (!take_answer(c, as)) {
            return false;
        }
        (void)service_text(s, "status", status, sizeof status);
        if (strcmp(status, "assigning") != 0) {
            break;
        }
        (void)clock.sleep_ms(clock.context, 1000);
    }
    return conformance_check(c, strcmp(status, "assigned") == 0, "the operation must end as assigned: %.300s",
                             service_shown(s)) &&
           service_take_assignment(c, d);
}
