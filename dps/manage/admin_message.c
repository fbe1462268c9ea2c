/* SPDX-License-Identifier: MIT */
#include "dps/manage/admin_message.h"
#include "dps/manage/admin_answer.h"
#include "dps/protocol/date.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/messages.h"
#include "dps/service/records.h"
#include <string.h>

#if DPS_WITH_MQTT

/* As IoT Hub has them: an hour, and two days. */
#define LIFETIME 3600
#define LIFETIME_MAX 172800

#define NAME_MAX 64
#define TEXT_MAX 256

struct draft {
    uint8_t properties[DPS_MESSAGE_PROPERTIES_MAX];
    struct bytes_writer w;   /* over them */
    struct bytes message_id; /* a JSON string, or empty */
    struct dps_message message;
};

/* What the topic calls them [IoT Hub "Communicate with an IoT hub using the MQTT protocol"]. */
static const struct {
    char member[16], property[12];
} system_properties[] = {
    {"messageId", "%24.mid"},  {"correlationId", "%24.cid"},  {"userId", "%24.uid"},
    {"contentType", "%24.ct"}, {"contentEncoding", "%24.ce"},
};

/* ---- Properties -------------------------------------------------------------------------------------------------- */

static bool is_printed(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < 0x20 || text.p[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool read_text(struct bytes json_string, uint8_t *text, size_t capacity, struct bytes *read)
{
    size_t len;
    if (dps_json_string(json_string, text, capacity, &len) != 0) {
        return false;
    }
    *read = bytes_of(text, len);
    return is_printed(*read);
}

static void begin_property(struct draft *d)
{
    dps_write_text(&d->w, d->w.len > 0 ? "&" : "");
}

static enum dps_refusal take_system_property(struct draft *d, const char *property, struct bytes value,
                                             struct bytes member, struct dps_answer *a)
{
    uint8_t buffer[DPS_REGISTRATION_ID_MAX];
    struct bytes text;
    if (!read_text(value, buffer, sizeof buffer, &text) || text.len == 0) {
        return dps_admin_refuse_named(a, DPS_REFUSED_BODY, member, " must be a text of 1 to 128 characters");
    }
    begin_property(d);
    dps_write_text(&d->w, property);
    dps_write_text(&d->w, "=");
    dps_write_percent(&d->w, text);
    return DPS_ACCEPTED;
}

/* Names that begin so are the hub's own. */
static bool is_reserved(struct bytes name)
{
    static const char prefix[] = "iothub-";
    return name.p[0] == '$' ||
           (name.len >= sizeof prefix - 1 &&
            dps_text_equal_nocase(bytes_of(name.p, sizeof prefix - 1), bytes_of_text(prefix)));
}

static enum dps_refusal take_property(struct draft *d, struct bytes raw_name, struct bytes value,
                                      struct dps_answer *a)
{
    uint8_t name_buffer[NAME_MAX];
    uint8_t value_buffer[TEXT_MAX];
    struct bytes name;
    struct bytes text;
    const struct bytes quoted = bytes_of(raw_name.p - 1, raw_name.len + 2);
    if (!read_text(quoted, name_buffer, sizeof name_buffer, &name) || name.len == 0 || is_reserved(name)) {
        return dps_admin_refuse_named(
            a, DPS_REFUSED_BODY, raw_name,
            ": a property's name has 1 to 64 bytes, and begins neither with $ nor iothub-");
    }
    if (!read_text(value, value_buffer, sizeof value_buffer, &text)) {
        return dps_admin_refuse_named(a, DPS_REFUSED_BODY, raw_name,
                                      ": a property is a text of at most 256 bytes");
    }
    begin_property(d);
    dps_write_percent(&d->w, name);
    dps_write_text(&d->w, "=");
    dps_write_percent(&d->w, text);
    return DPS_ACCEPTED;
}

static enum dps_refusal take_properties(struct draft *d, struct bytes object, struct dps_answer *a)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    if (dps_json_kind(object) != DPS_JSON_OBJECT) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY, "properties must be an object");
    }
    enum dps_refusal no = DPS_ACCEPTED;
    while (no == DPS_ACCEPTED && dps_json_next(object, &cursor, &name, &value)) {
        no = take_property(d, name, value, a);
    }
    return no;
}

/* ---- The body ---------------------------------------------------------------------------------------------------- */

static enum dps_refusal take_lifetime(struct draft *d, struct bytes value, uint64_t now, struct dps_answer *a)
{
    uint64_t seconds;
    if (dps_json_uint(value, LIFETIME_MAX, &seconds) != 0 || seconds == 0) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY, "timeToLiveSeconds must be 1 to 172800, two days");
    }
    d->message.expires = now + seconds;
    return DPS_ACCEPTED;
}

static enum dps_refusal take_member(struct draft *d, struct bytes name, struct bytes value, uint64_t now,
                                    struct dps_answer *a)
{
    for (size_t i = 0; i < sizeof system_properties / sizeof system_properties[0]; i++) {
        if (bytes_equal_public(name, bytes_of_text(system_properties[i].member))) {
            d->message_id = i == 0 ? value : d->message_id;
            return take_system_property(d, system_properties[i].property, value, name, a);
        }
    }
    if (bytes_equal_public(name, bytes_of_text("properties"))) {
        return take_properties(d, value, a);
    }
    if (bytes_equal_public(name, bytes_of_text("timeToLiveSeconds"))) {
        return take_lifetime(d, value, now, a);
    }
    if (!bytes_equal_public(name, bytes_of_text("data"))) {
        return dps_admin_refuse_named(a, DPS_REFUSED_BODY, name, " is not a member of a message");
    }
    if (dps_json_kind(value) != DPS_JSON_STRING) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY, "data must be base64");
    }
    d->message.data = value;
    return DPS_ACCEPTED;
}

/* A member that occurs twice would be sent twice. */
static bool occurs_once(struct bytes object, struct bytes raw_name)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    size_t count = 0;
    while (dps_json_next(object, &cursor, &name, &value)) {
        count += bytes_equal_public(name, raw_name);
    }
    return count == 1;
}

static enum dps_refusal read_body(struct draft *d, const struct dps_request *q, uint64_t now,
                                  struct dps_answer *a)
{
    struct bytes object;
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    enum dps_refusal no = DPS_ACCEPTED;
    if (dps_json_check(q->body, &object) != 0 || dps_json_kind(object) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    while (no == DPS_ACCEPTED && dps_json_next(object, &cursor, &name, &value)) {
        no = occurs_once(object, name) ? take_member(d, name, value, now, a) : DPS_REFUSED_BODY;
    }
    return no;
}

/* ---- The request ------------------------------------------------------------------------------------------------- */

/* A message without a name gets that of the request, which the log has. */
static void name_message(struct draft *d, const struct dps_answer *a)
{
    if (d->message_id.len == 0) {
        begin_property(d);
        dps_write_text(&d->w, "%24.mid=");
        bytes_write_bytes(&d->w, bytes_of(a->tracking_id, sizeof a->tracking_id));
    }
}

/* So that the device sees when it would have been too late. */
static void write_expiry(struct draft *d)
{
    uint8_t text[40];
    struct bytes_writer time = bytes_writer_over(text, sizeof text);
    dps_write_time(&time, d->message.expires);
    dps_write_text(&d->w, "&%24.exp=");
    dps_write_percent(&d->w, bytes_written(&time));
}

static void write_answer(const struct draft *d, struct dps_answer *a)
{
    a->status = 200;
    dps_write_text(&a->body, "{\"messageId\":");
    if (d->message_id.len > 0) {
        bytes_write_bytes(&a->body, d->message_id);
    } else {
        dps_write_json_string(&a->body, bytes_of(a->tracking_id, sizeof a->tracking_id));
    }
    dps_write_text(&a->body, ",\"expiryTimeUtc\":\"");
    dps_write_time(&a->body, d->message.expires);
    dps_write_text(&a->body, "\"}");
}

/* There must be a device that can ever ask for it. One that is disabled may be enabled in time. */
static enum dps_refusal find_device(struct dps_service *s, struct bytes id, struct dps_answer *a)
{
    struct dps_enrollment enrollment;
    struct dps_registration registration;
    uint64_t version;
    enum dps_refusal no = dps_load_enrollment(s, id, &enrollment, &version);
    if (no == DPS_ACCEPTED) {
        no = dps_load_registration(s, id, &registration, &version);
    }
    if (no == DPS_ACCEPTED && (version == 0 || registration.deleted)) {
        no = dps_admin_refuse(a, DPS_REFUSED_UNKNOWN, "the device has not registered");
    }
    return no;
}

enum dps_refusal dps_admin_message(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    struct draft d = {.message = {.expires = s->now + LIFETIME}};
    uint8_t id[DPS_REGISTRATION_ID_MAX];
    size_t id_len;
    d.w = bytes_writer_over(d.properties, sizeof d.properties);
    if (dps_registration_id_lower(q->segments[1], id, &id_len) != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "the one in the path is malformed");
    }
    dps_admin_subject(a, bytes_of(id, id_len));
    enum dps_refusal no = find_device(s, bytes_of(id, id_len), a);
    if (no == DPS_ACCEPTED) {
        no = read_body(&d, q, s->now, a);
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }
    name_message(&d, a);
    write_expiry(&d);
    if (d.w.error != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_TOO_LARGE,
                                "its properties are too many: they may fill an eighth of what a record has");
    }
    d.message.properties = bytes_written(&d.w);
    no = dps_messages_add(s, bytes_of(id, id_len), &d.message, a);
    if (no == DPS_REFUSED_TOO_LARGE) {
        dps_answer_detail(a, "its data is too large: it may fill half of what a record has");
    } else if (no == DPS_REFUSED_BODY) {
        dps_answer_detail(a, "data is not base64");
    }
    if (no == DPS_ACCEPTED) {
        write_answer(&d, a);
    }
    return no;
}

#endif
