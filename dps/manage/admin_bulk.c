/* SPDX-License-Identifier: MIT */
/* POST /enrollments: up to ten enrollments in one request.
 *
 * Each enrollment is handled by itself, as in the real service: an error is answered under the enrollment's
 * registrationId and nothing of that one is written; the others are done. They are taken in order, so a second one
 * with the same registrationId finds what the first has made. Only if the store itself fails is the whole
 * request refused, and then nothing of it is kept.
 *
 * The store has one mark, which stands before the request, so a single enrollment cannot be undone here. It need not
 * be: each enrollment is checked completely before its one write, so a refused one has never written. */
#include "dps/manage/admin_bulk.h"
#include "dps/manage/admin_answer.h"
#include "dps/manage/admin_enrollment.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/request.h"
#include "dps/service/state.h"

#define ITEMS_MAX 10

/* A kilobyte for what is around and between them. */
_Static_assert(DPS_HTTP_BODY_MAX >= ITEMS_MAX * DPS_RECORD_MAX + 1024,
               "ten full enrollments fit one request");

enum mode { MODE_CREATE, MODE_UPDATE, MODE_UPDATE_IF_MATCH, MODE_DELETE, MODE_COUNT };

/* Compared without case: the SDKs do not agree on that of the last letters of updateIfMatchETag. */
static int read_mode(struct bytes object, enum mode *mode)
{
    static const char names[MODE_COUNT][20] = {"create", "update", "updateIfMatchETag", "delete"};
    struct bytes value;
    uint8_t text[sizeof names[0]];
    size_t len;
    if (dps_json_member(object, "mode", &value) != 0 ||
        dps_json_string(value, text, sizeof text, &len) != 0) {
        return BYTES_E_FORMAT;
    }
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (dps_text_equal_nocase(bytes_of(text, len), bytes_of_text(names[i]))) {
            *mode = (enum mode)i;
            return 0;
        }
    }
    return BYTES_E_FORMAT;
}

static size_t count_items(struct bytes list)
{
    struct bytes name;
    struct bytes item;
    size_t cursor = 0;
    size_t count = 0;
    while (dps_json_next(list, &cursor, &name, &item)) {
        count++;
    }
    return count;
}

static enum dps_refusal read_bulk(const struct dps_request *q, enum mode *mode, struct bytes *list,
                                  struct dps_answer *a)
{
    struct bytes object;
    if (dps_json_check(q->body, &object) != 0 || dps_json_kind(object) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    if (read_mode(object, mode) != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY,
                                "mode must be \"create\", \"update\", \"updateIfMatchETag\" or \"delete\"");
    }
    if (dps_json_member(object, "enrollments", list) != 0 || dps_json_kind(*list) != DPS_JSON_ARRAY) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY, "enrollments must be an array of enrollments");
    }
    const size_t count = count_items(*list);
    if (count == 0 || count > ITEMS_MAX) {
        return dps_admin_refuse(a, DPS_REFUSED_BODY,
                                "enrollments must hold 1 to " DPS_LIMIT_TEXT(ITEMS_MAX) " enrollments");
    }
    return DPS_ACCEPTED;
}

/* The etag that this enrollment was read with. An empty one is refused like a missing one: it would be no
 * precondition. */
static enum dps_refusal read_etag(struct bytes item, uint8_t *text, size_t capacity, struct bytes *if_match,
                                  struct dps_answer *a)
{
    struct bytes value;
    size_t len = 0;
    if (dps_json_member(item, "etag", &value) != 0 || dps_json_string(value, text, capacity, &len) != 0 ||
        len == 0) {
        return dps_admin_refuse(a, DPS_REFUSED_ENROLLMENT,
                                "etag is missing: mode updateIfMatchETag needs the one that was read");
    }
    *if_match = bytes_of(text, len);
    return DPS_ACCEPTED;
}

/* id is the registrationId as it was sent, empty if it could not be read. */
static enum dps_refusal do_item(struct dps_service *s, enum mode mode, struct bytes item, struct bytes id,
                                struct dps_answer *a)
{
    uint8_t key[DPS_REGISTRATION_ID_MAX];
    uint8_t etag[128];
    struct bytes if_match = bytes_of(NULL, 0);
    enum dps_refusal why = DPS_ACCEPTED;
    size_t key_len;
    if (dps_registration_id_lower(id, key, &key_len) != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID,
                                "this enrollment has none, or a malformed one");
    }
    if (mode == MODE_DELETE) {
        return dps_admin_remove(s, bytes_of(key, key_len), if_match, a);
    }
    if (mode == MODE_UPDATE) {
        if_match = bytes_of_text("*");
    } else if (mode == MODE_UPDATE_IF_MATCH) {
        why = read_etag(item, etag, sizeof etag, &if_match, a);
    }
    return why == DPS_ACCEPTED ? dps_admin_put(s, bytes_of(key, key_len), item, if_match, a) : why;
}

/* The API has one text for an error here, so it takes both of ours. */
static void write_error(struct bytes_writer *w, struct bytes id, enum dps_refusal why, const char *detail)
{
    const struct dps_refusal_text *text = dps_refusal_text(why);
    uint8_t status[512];
    struct bytes_writer both = bytes_writer_over(status, sizeof status);
    dps_write_text(&both, text->message);
    dps_write_text(&both, detail[0] != '\0' ? " " : "");
    dps_write_text(&both, detail);
    dps_write_text(w, "{\"registrationId\":");
    dps_write_json_string(w, id);
    dps_write_text(w, ",\"errorCode\":");
    dps_write_decimal(w, text->code);
    dps_write_text(w, ",\"errorStatus\":");
    dps_write_json_string(w, bytes_written(&both));
    dps_write_text(w, "}");
}

enum dps_refusal dps_admin_bulk(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    enum mode mode = MODE_CREATE;
    struct bytes list = bytes_of(NULL, 0);
    struct bytes name;
    struct bytes item;
    size_t cursor = 0;
    size_t failed = 0;
    enum dps_refusal why = read_bulk(q, &mode, &list, a);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    dps_write_text(&a->body, "{\"errors\":[");
    while (dps_json_next(list, &cursor, &name, &item)) {
        struct bytes value;
        uint8_t id[DPS_REGISTRATION_ID_MAX];
        size_t id_len = 0;
        if (dps_json_member(item, "registrationId", &value) == 0) {
            (void)dps_json_string(value, id, sizeof id, &id_len);
        }
        why = do_item(s, mode, item, bytes_of(id, id_len), a);
        if (why == DPS_REFUSED_STORE) {
            return why;
        }
        if (why != DPS_ACCEPTED) {
            dps_write_text(&a->body, failed > 0 ? "," : "");
            write_error(&a->body, bytes_of(id, id_len), why, a->detail);
            failed++;
        }
        a->detail[0] = '\0';
    }
    dps_write_text(&a->body, failed > 0 ? "],\"isSuccessful\":false}" : "],\"isSuccessful\":true}");
    a->status = 200;
    return DPS_ACCEPTED;
}
