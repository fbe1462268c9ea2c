/* SPDX-License-Identifier: MIT */
/* POST /enrollments/query: all enrollments or those that a simple condition names, a page at a time, in the
 * order of their registrationIds. */
#include "dps/manage/admin_query.h"
#include "dps/manage/admin_answer.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/request.h"
#include "dps/service/state.h"
#include <string.h>

/* As many as the client asks for, and at most these; fewer if they do not fit DPS_HTTP_BODY_MAX. */
#define PAGE_MAX 100

/* The first item of a page always fits, or a query would never get past it: besides the record, the etag and
 * the registration state are written. */
_Static_assert(DPS_HTTP_BODY_MAX >= DPS_RECORD_MAX + 2048, "a page holds at least one enrollment");

/* How many enrollments one request reads while it looks for those that a condition names: others wait
 * meanwhile. */
#define SCAN_MAX 1000

static const char offered[] =
    "offered is SELECT * [FROM enrollments] [WHERE registrationId = 'a' AND deviceId = 'b' AND "
    "provisioningStatus = 'enabled']";

/* ---- The query ---------------------------------------------------------------------------------------- */

enum column { COLUMN_REGISTRATION_ID, COLUMN_DEVICE_ID, COLUMN_STATUS, COLUMN_COUNT };

static const char column_names[COLUMN_COUNT][20] = {"registrationId", "deviceId", "provisioningStatus"};
static const char table_name[] = "enrollments";

/* What an enrollment must have to be shown. A column that is not compared has no pointer; the others view the
 * query. */
struct conditions {
    struct bytes wanted[COLUMN_COUNT];
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_letter(uint8_t c)
{
    return dps_lower(c) >= 'a' && dps_lower(c) <= 'z';
}

/* How many bytes of text belong to its first token: a word, a text with its quotes, or one sign. A quote
 * without its other one is a sign. */
static size_t token_length(struct bytes text)
{
    size_t len = 0;
    if (text.p[0] == '\'' || text.p[0] == '"') {
        const uint8_t *end = memchr(text.p + 1, text.p[0], text.len - 1);
        return end != NULL ? (size_t)(end - text.p) + 1 : 1;
    }
    while (len < text.len && is_letter(text.p[len])) {
        len++;
    }
    return len > 0 ? len : 1;
}

/* Take the next token of a query off its front; empty at the end. */
static struct bytes next_token(struct bytes *text)
{
    size_t begin = 0;
    while (begin < text->len && is_space(text->p[begin])) {
        begin++;
    }
    const struct bytes rest = bytes_of(text->p + begin, text->len - begin);
    const size_t len = rest.len > 0 ? token_length(rest) : 0;
    *text = bytes_of(rest.p + len, rest.len - len);
    return bytes_of(rest.p, len);
}

static bool token_is(struct bytes token, const char *text)
{
    return dps_text_equal_nocase(token, bytes_of_text(text));
}

/* COLUMN or enrollments.COLUMN */
static struct bytes next_column(struct bytes *query)
{
    const struct bytes name = next_token(query);
    struct bytes rest = *query;
    if (!token_is(name, table_name) || !token_is(next_token(&rest), ".")) {
        return name;
    }
    *query = rest;
    return next_token(query);
}

/* COLUMN = 'VALUE' */
static enum dps_refusal read_condition(struct bytes *query, struct conditions *c, struct dps_answer *a)
{
    const struct bytes name = next_column(query);
    const bool equals = token_is(next_token(query), "=");
    const struct bytes value = next_token(query);
    size_t column = 0;
    while (column < COLUMN_COUNT && !token_is(name, column_names[column])) {
        column++;
    }
    if (column == COLUMN_COUNT || !equals || value.len < 2) {
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, offered);
    }
    if (c->wanted[column].p != NULL) {
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "WHERE may name each column once");
    }
    c->wanted[column] = bytes_of(value.p + 1, value.len - 2);
    if (column == COLUMN_STATUS && !token_is(c->wanted[column], "enabled") &&
        !token_is(c->wanted[column], "disabled")) {
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "provisioningStatus is 'enabled' or 'disabled'");
    }
    return DPS_ACCEPTED;
}

/* "SELECT *", which is what Microsoft's command line sends; "*" or nothing, which their samples in C and Node.js
 * send; or more of what `offered` says. */
static enum dps_refusal parse_query(struct bytes query, struct conditions *c, struct dps_answer *a)
{
    enum dps_refusal why = DPS_ACCEPTED;
    struct bytes token = next_token(&query);
    const bool select = token_is(token, "SELECT");
    token = select ? next_token(&query) : token;
    bool known = token_is(token, "*") || (token.len == 0 && !select);
    token = next_token(&query);
    if (known && token_is(token, "FROM")) {
        known = token_is(next_token(&query), table_name);
        token = next_token(&query);
    }
    if (known && token_is(token, "WHERE")) {
        do {
            why = read_condition(&query, c, a);
            token = next_token(&query);
        } while (why == DPS_ACCEPTED && token_is(token, "AND"));
    }
    if (why != DPS_ACCEPTED || (known && token.len == 0)) {
        return why;
    }
    return dps_admin_refuse(a, DPS_REFUSED_QUERY, offered);
}

/* text must live as long as the conditions. */
static enum dps_refusal read_query(const struct dps_request *q, uint8_t *text, size_t capacity,
                                   struct conditions *c, struct dps_answer *a)
{
    struct bytes object;
    struct bytes value;
    size_t len;
    if (dps_json_check(q->body, &object) != 0 || dps_json_kind(object) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    if (dps_json_member(object, "query", &value) != 0 || dps_json_string(value, text, capacity, &len) != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_QUERY,
                                "the body needs one member \"query\", a string of at most 512 bytes");
    }
    return parse_query(bytes_of(text, len), c, a);
}

/* registrationIds and words have no case, deviceIds have. What an enrollment does not say is equal to nothing: its
 * deviceId is then chosen when its device registers. A record that cannot be read matches, so that it is
 * reported. */
static bool matches(struct bytes record, const struct conditions *c)
{
    struct bytes object;
    if (dps_json_check(record, &object) != 0) {
        return true;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        struct bytes value;
        uint8_t text[DPS_REGISTRATION_ID_MAX];
        size_t len;
        if (c->wanted[i].p == NULL) {
            continue;
        }
        if (dps_json_member(object, column_names[i], &value) != 0 ||
            dps_json_string(value, text, sizeof text, &len) != 0) {
            return false;
        }
        const struct bytes has = bytes_of(text, len);
        if (i == COLUMN_DEVICE_ID ? !bytes_equal_public(has, c->wanted[i])
                                  : !dps_text_equal_nocase(has, c->wanted[i])) {
            return false;
        }
    }
    return true;
}

/* ---- Pages -------------------------------------------------------------------------------------------- */

/* A client may ask for more than PAGE_MAX: it named a maximum. */
static enum dps_refusal read_page_size(const struct dps_request *q, uint64_t *size, struct dps_answer *a)
{
    *size = PAGE_MAX;
    if (q->max_items.len == 0) {
        return DPS_ACCEPTED;
    }
    if (dps_decimal_parse(q->max_items, UINT32_MAX, size) != 0 || *size == 0) {
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "x-ms-max-item-count is not a number from 1 on");
    }
    if (*size > PAGE_MAX) {
        *size = PAGE_MAX;
    }
    return DPS_ACCEPTED;
}

/* The continuation is the last registrationId that was shown. It needs no authentication: whoever may query may
 * see them all, wherever the query goes on. */
static enum dps_refusal read_continuation(const struct dps_request *q, uint8_t key[DPS_KEY_MAX],
                                          size_t *key_len, struct dps_answer *a)
{
    uint8_t lower[DPS_REGISTRATION_ID_MAX];
    size_t lower_len;
    *key_len = 0;
    if (q->continuation.len == 0) {
        return DPS_ACCEPTED;
    }
    if (dps_base64_decode(q->continuation, key, DPS_KEY_MAX, key_len) == 0 &&
        dps_registration_id_lower(bytes_of(key, *key_len), lower, &lower_len) == 0 &&
        bytes_equal_public(bytes_of(key, *key_len), bytes_of(lower, lower_len))) {
        return DPS_ACCEPTED;
    }
    return dps_admin_refuse(a, DPS_REFUSED_QUERY, "x-ms-continuation is not one that this service gave");
}

static void write_continuation(struct dps_answer *a, struct bytes last)
{
    struct bytes_writer w = bytes_writer_over(a->continuation, sizeof a->continuation);
    dps_write_base64(&w, last);
    a->continuation_len = (uint16_t)bytes_written(&w).len;
}

/* Append one item, unless it or the closing bracket would not fit: then the page is as it was, and full. */
static enum dps_refusal write_item(struct dps_service *s, struct bytes id, struct bytes record,
                                   uint64_t version, struct bytes_writer *page, bool *full)
{
    struct bytes_writer before = *page;
    dps_write_text(page, page->len > 1 ? "," : "");
    enum dps_refusal why = dps_admin_write_enrollment(s, page, id, record, version);
    *full = page->error != 0 || page->len == page->capacity;
    if (*full) {
        *page = before;
    }
    return why;
}

static enum dps_refusal refuse_unreadable(struct bytes id, enum dps_refusal why, struct dps_answer *a)
{
    dps_admin_subject(a, id);
    return dps_admin_refuse(a, why, "one of the enrollments cannot be read");
}

/* From the first enrollment after `last`. Whether another one follows is found out by reading it, so the
 * continuation of a query without conditions never leads to an empty page. */
static enum dps_refusal write_page(struct dps_service *s, const struct conditions *c, struct bytes last,
                                   uint64_t size, struct dps_answer *a)
{
    uint8_t key[2][DPS_KEY_MAX];
    uint64_t count = 0;
    for (size_t scanned = 0;; scanned++) {
        uint8_t *next = key[scanned % 2];
        size_t next_len;
        size_t len;
        uint64_t version;
        const int error = s->store.next(s->store.context, DPS_TABLE_ENROLLMENTS, last, next, &next_len,
                                        s->record, sizeof s->record, &len, &version);
        if (error == BYTES_E_NOT_FOUND) {
            return DPS_ACCEPTED;
        }
        if (error != 0) {
            return dps_admin_store_refusal(error);
        }
        const struct bytes id = bytes_of(next, next_len);
        const struct bytes record = bytes_of(s->record, len);
        bool full = scanned == SCAN_MAX;
        if (!full && matches(record, c)) {
            full = count == size;
            const enum dps_refusal why =
                full ? DPS_ACCEPTED : write_item(s, id, record, version, &a->body, &full);
            if (why != DPS_ACCEPTED || (full && count == 0)) {
                return refuse_unreadable(id, why != DPS_ACCEPTED ? why : DPS_REFUSED_INTERNAL, a);
            }
            count += !full;
        }
        if (full) {
            write_continuation(a, last);
            return DPS_ACCEPTED;
        }
        last = id;
    }
}

/* One enrollment by its name needs no search. */
static enum dps_refusal write_named(struct dps_service *s, const struct conditions *c, struct dps_answer *a)
{
    uint8_t key[DPS_REGISTRATION_ID_MAX];
    size_t key_len;
    struct bytes record;
    uint64_t version;
    bool full;
    if (dps_registration_id_lower(c->wanted[COLUMN_REGISTRATION_ID], key, &key_len) != 0) {
        return DPS_ACCEPTED;
    }
    const struct bytes id = bytes_of(key, key_len);
    enum dps_refusal why = dps_admin_load(s, id, &record, &version);
    if (why == DPS_REFUSED_UNKNOWN || (why == DPS_ACCEPTED && !matches(record, c))) {
        return DPS_ACCEPTED;
    }
    if (why == DPS_ACCEPTED) {
        why = write_item(s, id, record, version, &a->body, &full);
    }
    return why == DPS_ACCEPTED || why == DPS_REFUSED_STORE ? why : refuse_unreadable(id, why, a);
}

enum dps_refusal dps_admin_query(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    struct conditions c = {.wanted = {{NULL, 0}}};
    uint8_t text[512];
    uint8_t from[DPS_KEY_MAX];
    size_t from_len = 0;
    uint64_t size = 0;
    enum dps_refusal why = read_query(q, text, sizeof text, &c, a);
    if (why == DPS_ACCEPTED) {
        why = read_page_size(q, &size, a);
    }
    if (why == DPS_ACCEPTED) {
        why = read_continuation(q, from, &from_len, a);
    }
    if (why != DPS_ACCEPTED) {
        return why;
    }
    dps_write_text(&a->body, "[");
    why = c.wanted[COLUMN_REGISTRATION_ID].p != NULL ? write_named(s, &c, a)
                                                     : write_page(s, &c, bytes_of(from, from_len), size, a);
    dps_write_text(&a->body, "]");
    a->status = 200;
    a->item_type = "Enrollment";
    return why;
}
