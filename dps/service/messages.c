/* SPDX-License-Identifier: MIT */
#include "dps/service/messages.h"
#include "dps/protocol/json.h"
#include "dps/protocol/mqtt.h"
#include "dps/protocol/text.h"
#include <string.h>

#if DPS_WITH_MQTT

/* A queue can change between reading and writing it as often as others write to it at that moment. */
#define TRIES 4

/* ---- One queue, as it is stored ---------------------------------------------------------------------------------- */

/* {"messages":[{"number":7,"expires":1800000000,"properties":"a=b","data":"AA=="}]} */
struct entry {
    struct bytes json; /* all of it */
    uint64_t number, expires;
    struct bytes properties, data; /* JSON strings that need no unescaping */
};

struct queue {
    uint8_t key[DPS_KEY_MAX];
    size_t key_len;
    uint64_t version;  /* 0: there is none */
    struct bytes list; /* views s->record */
};

static bool parse_entry(struct bytes json, struct entry *e)
{
    struct bytes number;
    struct bytes expires;
    e->json = json;
    return dps_json_member(json, "number", &number) == 0 && dps_json_member(json, "expires", &expires) == 0 &&
           dps_json_member(json, "properties", &e->properties) == 0 &&
           dps_json_member(json, "data", &e->data) == 0 &&
           dps_json_uint(number, UINT64_MAX, &e->number) == 0 &&
           dps_json_uint(expires, UINT64_MAX, &e->expires) == 0 &&
           dps_json_kind(e->properties) == DPS_JSON_STRING && dps_json_kind(e->data) == DPS_JSON_STRING;
}

/* The next message of a queue. One that is damaged, since operators can write into the store, is passed over, and is
 * lost when the queue is written the next time. */
static bool next_entry(struct bytes list, size_t *cursor, struct entry *e)
{
    struct bytes name;
    struct bytes value;
    while (dps_json_next(list, cursor, &name, &value)) {
        if (dps_json_kind(value) == DPS_JSON_OBJECT && parse_entry(value, e)) {
            return true;
        }
    }
    return false;
}

static struct bytes unquoted(struct bytes json_string)
{
    return bytes_of(json_string.p + 1, json_string.len - 2);
}

static enum dps_refusal load(struct dps_service *s, struct bytes registration_id, struct queue *q)
{
    struct bytes_writer key = bytes_writer_over(q->key, sizeof q->key);
    struct bytes root;
    size_t len;
    dps_write_text(&key, "/messages/");
    bytes_write_bytes(&key, registration_id);
    q->key_len = bytes_written(&key).len;
    q->list = bytes_of(NULL, 0);
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_written(&key), s->record,
                                   sizeof s->record, &len, &q->version);
    if (error == BYTES_E_NOT_FOUND) {
        q->version = 0;
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    const bool sound = dps_json_check(bytes_of(s->record, len), &root) == 0 &&
                       dps_json_member(root, "messages", &q->list) == 0 &&
                       dps_json_kind(q->list) == DPS_JSON_ARRAY;
    return sound ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
}

/* Returns as the store's functions do. */
static int save(struct dps_service *s, const struct queue *q, const struct bytes_writer *w, size_t count)
{
    const struct bytes key = bytes_of(q->key, q->key_len);
    uint64_t version;
    if (count > 0) {
        return s->store.put(s->store.context, DPS_TABLE_DEVICES, key, bytes_written(w), q->version, &version);
    }
    const int error =
        q->version != 0 ? s->store.remove(s->store.context, DPS_TABLE_DEVICES, key, q->version) : 0;
    return error == BYTES_E_NOT_FOUND ? 0 : error;
}

/* ---- Writing it again -------------------------------------------------------------------------------------------- */

static bool is_done(const struct dps_inbox *i, uint64_t number)
{
    for (size_t n = 0; i != NULL && n < DPS_MESSAGES_IN_FLIGHT; n++) {
        if (i->sent[n].packet_id != 0 && i->sent[n].number == number) {
            return i->sent[n].done;
        }
    }
    return false;
}

/* Begin the new queue with what stays of the old one. Returns: how many that are. */
static size_t write_rest(const struct dps_service *s, const struct queue *q, const struct dps_inbox *i,
                         struct bytes_writer *w)
{
    struct entry e;
    size_t cursor = 0;
    size_t count = 0;
    dps_write_text(w, "{\"messages\":[");
    while (next_entry(q->list, &cursor, &e)) {
        if (e.expires > s->now && !is_done(i, e.number)) {
            dps_write_text(w, count++ > 0 ? "," : "");
            bytes_write_bytes(w, e.json);
        }
    }
    return count;
}

/* Take out what is done, and what is too old. */
static enum dps_refusal clean(struct dps_service *s, const struct dps_inbox *i, struct dps_answer *a)
{
    for (int n = 0; n < TRIES; n++) {
        struct queue q;
        struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
        const enum dps_refusal no = load(s, bytes_of_text(i->registration_id), &q);
        if (no != DPS_ACCEPTED) {
            return no;
        }
        const size_t count = write_rest(s, &q, i, &w);
        dps_write_text(&w, "]}");
        const int error = w.error != 0 ? w.error : save(s, &q, &w, count);
        if (error != BYTES_E_CONFLICT) {
            a->wrote = a->wrote || error == 0;
            return error == 0 ? DPS_ACCEPTED : DPS_REFUSED_STORE;
        }
    }
    return DPS_REFUSED_STORE;
}

/* ---- A new message ----------------------------------------------------------------------------------------------- */

/* The old queue is copied already, so its buffer has room for the data. */
static enum dps_refusal write_data(struct dps_service *s, struct bytes_writer *w, struct bytes json_string)
{
    size_t len = 0;
    if (json_string.len / 2 > DPS_MESSAGE_DATA_MAX) {
        return DPS_REFUSED_TOO_LARGE;
    }
    if (json_string.len > 0 &&
        (dps_json_string(json_string, s->record, sizeof s->record, &len) != 0 ||
         dps_base64_decode(bytes_of(s->record, len), s->record, sizeof s->record, &len) != 0)) {
        return DPS_REFUSED_BODY;
    }
    dps_write_base64(w, bytes_of(s->record, len));
    return len <= DPS_MESSAGE_DATA_MAX ? DPS_ACCEPTED : DPS_REFUSED_TOO_LARGE;
}

/* Messages are told apart by a random number: one that is counted could be given twice, after the queue was empty. */
static enum dps_refusal write_entry(struct dps_service *s, struct bytes_writer *w,
                                    const struct dps_message *m)
{
    uint8_t random[8];
    if (s->entropy.fill(s->entropy.context, random, sizeof random) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    struct bytes_reader r = bytes_reader_over(bytes_of(random, sizeof random));
    dps_write_text(w, "{\"number\":");
    dps_write_decimal(w, bytes_read_u64(&r));
    dps_write_text(w, ",\"expires\":");
    dps_write_decimal(w, m->expires);
    dps_write_text(w, ",\"properties\":\"");
    bytes_write_bytes(w, m->properties);
    dps_write_text(w, "\",\"data\":\"");
    const enum dps_refusal no = write_data(s, w, m->data);
    dps_write_text(w, "\"}]}");
    return no;
}

static int try_to_add(struct dps_service *s, struct bytes registration_id, const struct dps_message *m,
                      enum dps_refusal *no)
{
    struct queue q;
    struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
    *no = load(s, registration_id, &q);
    if (*no != DPS_ACCEPTED) {
        return 0;
    }
    const size_t count = write_rest(s, &q, NULL, &w);
    dps_write_text(&w, count > 0 ? "," : "");
    *no = write_entry(s, &w, m);
    if (*no == DPS_ACCEPTED && (count >= DPS_MESSAGES_MAX || w.error != 0)) {
        *no = DPS_REFUSED_QUEUE;
    }
    return *no == DPS_ACCEPTED ? save(s, &q, &w, count + 1) : 0;
}

enum dps_refusal dps_messages_add(struct dps_service *s, struct bytes registration_id,
                                  const struct dps_message *m, struct dps_answer *a)
{
    enum dps_refusal no = DPS_REFUSED_STORE;
    int error = BYTES_E_CONFLICT;
    if (m->properties.len > DPS_MESSAGE_PROPERTIES_MAX) {
        return DPS_REFUSED_TOO_LARGE;
    }
    for (int n = 0; n < TRIES && error == BYTES_E_CONFLICT; n++) {
        error = try_to_add(s, registration_id, m, &no);
    }
    if (no == DPS_ACCEPTED && error != 0) {
        no = DPS_REFUSED_STORE;
    }
    a->wrote = no == DPS_ACCEPTED;
    a->messages_queued = no == DPS_ACCEPTED;
    return no;
}

enum dps_refusal dps_messages_clear(struct dps_service *s, struct bytes registration_id)
{
    struct queue q;
    const enum dps_refusal no = load(s, registration_id, &q);
    if (no == DPS_REFUSED_STORE || q.version == 0) {
        return no;
    }
    const int error = s->store.remove(s->store.context, DPS_TABLE_DEVICES, bytes_of(q.key, q.key_len), 0);
    return error == 0 || error == BYTES_E_NOT_FOUND ? DPS_ACCEPTED : DPS_REFUSED_STORE;
}

/* ---- Delivery ---------------------------------------------------------------------------------------------------- */

/* The place of a message that is sent, or DPS_MESSAGES_IN_FLIGHT. */
static size_t place_of(const struct dps_inbox *i, uint64_t number)
{
    size_t n = 0;
    while (n < DPS_MESSAGES_IN_FLIGHT && (i->sent[n].packet_id == 0 || i->sent[n].number != number)) {
        n++;
    }
    return n;
}

static size_t place_of_packet(const struct dps_inbox *i, uint16_t packet_id)
{
    size_t n = 0;
    while (n < DPS_MESSAGES_IN_FLIGHT && i->sent[n].packet_id != packet_id) {
        n++;
    }
    return n;
}

static bool has_room(const struct dps_inbox *i)
{
    return place_of_packet(i, 0) < DPS_MESSAGES_IN_FLIGHT;
}

/* One that is not in use, and not 0 [MQTT-2.3.1-1]. */
static uint16_t next_packet_id(struct dps_inbox *i)
{
    do {
        i->last_packet_id = (uint16_t)(i->last_packet_id + 1);
    } while (place_of_packet(i, i->last_packet_id) < DPS_MESSAGES_IN_FLIGHT);
    return i->last_packet_id;
}

static void write_topic(struct bytes_writer *w, struct bytes device_id, struct bytes properties)
{
    dps_write_text(w, "devices/");
    bytes_write_bytes(w, device_id);
    dps_write_text(w, "/messages/devicebound/%24.to=%2Fdevices%2F");
    dps_write_percent(w, device_id);
    dps_write_text(w, "%2Fmessages%2Fdevicebound");
    dps_write_text(w, properties.len > 0 ? "&" : "");
    bytes_write_bytes(w, properties);
}

/* s->draft holds topic and data. */
static enum dps_refusal write_publish(struct dps_service *s, struct dps_inbox *i, struct bytes device_id,
                                      const struct entry *e, struct dps_answer *a)
{
    size_t len;
    const size_t place = place_of_packet(i, 0);
    struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
    write_topic(&w, device_id, unquoted(e->properties));
    if (w.error != 0 ||
        dps_base64_decode(unquoted(e->data), s->draft + w.len, sizeof s->draft - w.len, &len) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    i->sent[place].number = e->number;
    i->sent[place].packet_id = next_packet_id(i);
    i->sent[place].done = i->qos == 0;
    const struct dps_mqtt_publish m = {.qos = i->qos,
                                       .packet_id = i->qos > 0 ? i->sent[place].packet_id : 0,
                                       .topic = bytes_written(&w),
                                       .payload = bytes_of(s->draft + w.len, len)};
    dps_mqtt_publish_write(&a->body, &m);
    a->messages_sent++;
    return a->body.error == 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
}

bool dps_inbox_waits(struct dps_service *s, const struct dps_inbox *i)
{
    struct queue q;
    struct entry e;
    size_t cursor = 0;
    bool waits = false;
    if (!i->open || load(s, bytes_of_text(i->registration_id), &q) != DPS_ACCEPTED) {
        return false;
    }
    while (!waits && next_entry(q.list, &cursor, &e)) {
        waits = e.expires <= s->now || (has_room(i) && place_of(i, e.number) == DPS_MESSAGES_IN_FLIGHT);
    }
    return waits;
}

static void forget_done(struct dps_inbox *i)
{
    for (size_t n = 0; n < DPS_MESSAGES_IN_FLIGHT; n++) {
        if (i->sent[n].done) {
            memset(&i->sent[n], 0, sizeof i->sent[n]);
        }
    }
}

enum dps_refusal dps_inbox_send(struct dps_service *s, struct dps_inbox *i, struct bytes device_id,
                                struct dps_answer *a)
{
    struct queue q;
    struct entry e;
    size_t cursor = 0;
    bool old = false;
    if (!i->open) {
        return DPS_ACCEPTED;
    }
    enum dps_refusal no = load(s, bytes_of_text(i->registration_id), &q);
    while (no == DPS_ACCEPTED && next_entry(q.list, &cursor, &e)) {
        old = old || e.expires <= s->now;
        if (e.expires > s->now && has_room(i) && place_of(i, e.number) == DPS_MESSAGES_IN_FLIGHT) {
            no = write_publish(s, i, device_id, &e, a);
        }
    }
    if (no == DPS_ACCEPTED && (old || (i->qos == 0 && a->messages_sent > 0))) {
        no = clean(s, i, a);
        forget_done(i);
    }
    return no;
}

enum dps_refusal dps_inbox_acknowledged(struct dps_service *s, struct dps_inbox *i, uint16_t packet_id,
                                        struct dps_answer *a)
{
    const size_t place = place_of_packet(i, packet_id);
    if (place == DPS_MESSAGES_IN_FLIGHT) {
        return DPS_ACCEPTED;
    }
    i->sent[place].done = true;
    const enum dps_refusal no = clean(s, i, a);
    a->messages_acknowledged = no == DPS_ACCEPTED;
    forget_done(i);
    return no;
}

void dps_inbox_close(struct dps_inbox *i)
{
    i->open = false;
    memset(i->sent, 0, sizeof i->sent);
}

#endif
