/* SPDX-License-Identifier: MIT */
/* POST /enrollments/query: all enrollments, a page at a time, in the order of their registrationIds. */
#include "dps/admin.h"
#include "dps/json.h"
#include "dps/registration_id.h"
#include "dps/text.h"

#define PAGE_MAX 100

/* The first item of a page always fits, or a query would never come past it: beside the record the etag and the
 * registration state are written. */
_Static_assert(DPS_HTTP_BODY_MAX >= DPS_RECORD_MAX + 2048, "a page holds at least one enrollment");

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Take the next word of a query, what is between white space, off its front; empty at the end. */
static struct span next_word(struct span *text)
{
    size_t begin = 0;
    while (begin < text->len && is_space(text->p[begin]))
        begin++;
    size_t end = begin;
    while (end < text->len && !is_space(text->p[end]))
        end++;
    struct span word = span_of(&text->p[begin], end - begin);
    *text = span_of(&text->p[end], text->len - end);
    return word;
}

static bool word_is(struct span word, const char *text)
{
    return dps_text_equal_nocase(word, span_of_text(text));
}

/* "SELECT *", which is what Microsoft's command line sends, or "SELECT * FROM enrollments". */
static enum dps_refusal check_query(struct span query, struct dps_answer *a)
{
    if (!word_is(next_word(&query), "SELECT") || !word_is(next_word(&query), "*"))
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "a query begins with SELECT *");
    struct span word = next_word(&query);
    if (word_is(word, "FROM")) {
        if (!word_is(next_word(&query), "enrollments"))
            return dps_admin_refuse(a, DPS_REFUSED_QUERY, "only enrollments can be selected from");
        word = next_word(&query);
    }
    if (word_is(word, "WHERE"))
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "WHERE is not offered: select all and filter");
    if (word.len > 0)
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "there is more behind the query than is understood");
    return DPS_ACCEPTED;
}

static enum dps_refusal read_query(const struct dps_request *q, struct dps_answer *a)
{
    struct span object, value;
    uint8_t text[256];
    size_t len;
    if (dps_json_check(q->body, &object) != 0 || dps_json_kind(object) != DPS_JSON_OBJECT)
        return DPS_REFUSED_BODY;
    if (dps_json_member(object, "query", &value) != 0 || dps_json_string(value, text, sizeof text, &len) != 0)
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "the body needs one member \"query\", a string");
    return check_query(span_of(text, len), a);
}

/* A client may ask for more than we give: it named a maximum. */
static enum dps_refusal read_page_size(const struct dps_request *q, uint64_t *size, struct dps_answer *a)
{
    *size = PAGE_MAX;
    if (q->max_items.len == 0)
        return DPS_ACCEPTED;
    if (dps_decimal_parse(q->max_items, UINT32_MAX, size) != 0 || *size == 0)
        return dps_admin_refuse(a, DPS_REFUSED_QUERY, "x-ms-max-item-count is not a number from 1 on");
    if (*size > PAGE_MAX)
        *size = PAGE_MAX;
    return DPS_ACCEPTED;
}

/* The continuation is the last registrationId that was shown. It needs no authentication: who may query may see them all,
 * and any other place to go on from is as good. */
static enum dps_refusal read_continuation(const struct dps_request *q, uint8_t key[DPS_KEY_MAX],
                                          size_t *key_len, struct dps_answer *a)
{
    uint8_t lower[DPS_REGISTRATION_ID_MAX];
    size_t lower_len;
    *key_len = 0;
    if (q->continuation.len == 0)
        return DPS_ACCEPTED;
    if (dps_base64_decode(q->continuation, key, DPS_KEY_MAX, key_len) == 0 &&
        dps_registration_id_lower(span_of(key, *key_len), lower, &lower_len) == 0 &&
        span_equal(span_of(key, *key_len), span_of(lower, lower_len)))
        return DPS_ACCEPTED;
    return dps_admin_refuse(a, DPS_REFUSED_QUERY, "x-ms-continuation is not one that this service gave");
}

static void write_continuation(struct dps_answer *a, struct span last)
{
    struct tpm2_writer w = tpm2_writer_over(a->continuation, sizeof a->continuation);
    dps_write_base64(&w, last);
    a->continuation_len = (uint16_t)tpm2_written(&w).len;
}

/* Append one item, unless it or the closing bracket would not fit: then the page is as it was, and full. */
static enum dps_refusal write_item(struct dps_service *s, struct span id, struct span record,
                                   uint64_t version, struct tpm2_writer *page, bool *full)
{
    struct tpm2_writer before = *page;
    dps_write_text(page, page->len > 1 ? "," : "");
    enum dps_refusal why = dps_admin_write_enrollment(s, page, id, record, version);
    *full = page->error != 0 || page->len == page->capacity;
    if (*full)
        *page = before;
    return why;
}

/* From the first enrollment behind `last` on. That another one follows is seen by reading it, so a continuation never leads
 * to an empty page. */
static enum dps_refusal write_page(struct dps_service *s, struct span last, uint64_t size,
                                   struct dps_answer *a)
{
    uint8_t key[2][DPS_KEY_MAX];
    for (uint64_t count = 0;; count++) {
        uint8_t *next = key[count % 2];
        size_t next_len, len;
        uint64_t version;
        int error = s->store.next(s->store.context, DPS_TABLE_ENROLLMENTS, last, next, &next_len, s->record,
                                  sizeof s->record, &len, &version);
        if (error == DPS_E_NOT_FOUND)
            return DPS_ACCEPTED;
        if (error != 0)
            return error == DPS_E_STORE ? DPS_REFUSED_STORE : DPS_REFUSED_INTERNAL;
        struct span id = span_of(next, next_len);
        bool full = count == size;
        enum dps_refusal why = DPS_ACCEPTED;
        if (!full)
            why = write_item(s, id, span_of(s->record, len), version, &a->body, &full);
        if (why != DPS_ACCEPTED) {
            dps_admin_subject(a, id);
            return dps_admin_refuse(a, why, "one of the enrollments cannot be read");
        }
        if (full) {
            write_continuation(a, last);
            return count > 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
        }
        last = id;
    }
}

enum dps_refusal dps_admin_query(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    uint8_t from[DPS_KEY_MAX];
    size_t from_len = 0;
    uint64_t size = 0;
    enum dps_refusal why = read_query(q, a);
    if (why == DPS_ACCEPTED)
        why = read_page_size(q, &size, a);
    if (why == DPS_ACCEPTED)
        why = read_continuation(q, from, &from_len, a);
    if (why != DPS_ACCEPTED)
        return why;
    dps_write_text(&a->body, "[");
    why = write_page(s, span_of(from, from_len), size, a);
    dps_write_text(&a->body, "]");
    a->status = 200;
    a->item_type = "Enrollment";
    return why;
}
