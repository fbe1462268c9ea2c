/* SPDX-License-Identifier: MIT */
#include "dps/service/answer.h"
#include "dps/protocol/date.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "dps/service/state.h"
#include <string.h>

void dps_answer_begin(struct dps_service *s, uint8_t *body_buffer, size_t body_capacity, struct dps_answer *a)
{
    uint8_t random[16];
    struct bytes_writer id = bytes_writer_over(a->tracking_id, sizeof a->tracking_id);
    memset(a, 0, sizeof *a);
    a->body = bytes_writer_over(body_buffer, body_capacity);
    if (s->entropy.fill(s->entropy.context, random, sizeof random) != 0) {
        memset(random, 0, sizeof random); /* a name for the log, not a secret */
    }
    dps_write_guid(&id, random);
}

void dps_answer_detail(struct dps_answer *a, const char *detail)
{
    size_t len = strlen(detail);
    len = len < sizeof a->detail ? len : sizeof a->detail - 1;
    memcpy(a->detail, detail, len);
    a->detail[len] = '\0';
}

/* [DPS "ProvisioningServiceErrorDetails"] */
static void write_error(struct dps_service *s, struct dps_answer *a, const struct dps_refusal_text *text)
{
    struct bytes_writer *w = &a->body;
    w->len = 0;
    w->error = 0;
    dps_write_text(w, "{\"errorCode\":");
    dps_write_decimal(w, text->code);
    dps_write_text(w, ",\"trackingId\":\"");
    bytes_write_bytes(w, bytes_of(a->tracking_id, sizeof a->tracking_id));
    dps_write_text(w, "\",\"message\":");
    dps_write_json_string(w, bytes_of_text(text->message));
    if (a->detail[0] != '\0') {
        dps_write_text(w, ",\"info\":{\"detail\":");
        dps_write_json_string(w, bytes_of_text(a->detail));
        dps_write_text(w, "}");
    }
    dps_write_text(w, ",\"timestampUtc\":\"");
    dps_write_time(w, s->now);
    dps_write_text(w, "\"}");
}

void dps_answer_note(struct dps_answer *a, enum dps_refusal why)
{
    const struct dps_refusal_text *text = dps_refusal_text(why);
    a->refusal = why;
    a->status = text->status;
    a->error_code = text->code;
    a->wrote = false;
    a->messages_queued = a->messages_sent = a->messages_acknowledged = 0;
}

void dps_answer_refuse(struct dps_service *s, struct dps_answer *a, enum dps_refusal why)
{
    dps_answer_note(a, why);
    a->content_type = NULL;
    a->item_type = NULL;
    a->etag_header.len = 0;
    a->continuation_len = 0;
    if (why == DPS_REFUSED_STORE) {
        a->has_retry_after = true;
        a->retry_after = 5;
    } else if (why != DPS_REFUSED_RATE) {
        a->has_retry_after = false;
    }
    write_error(s, a, dps_refusal_text(why));
}

static void write_header(struct bytes_writer *w, const char *name, struct bytes value)
{
    dps_write_text(w, name);
    dps_write_text(w, ": ");
    bytes_write_bytes(w, value);
    dps_write_text(w, "\r\n");
}

static void write_number_header(struct bytes_writer *w, const char *name, uint64_t value)
{
    dps_write_text(w, name);
    dps_write_text(w, ": ");
    dps_write_decimal(w, value);
    dps_write_text(w, "\r\n");
}

void dps_answer_write_head(struct bytes_writer *w, const struct dps_answer *a, uint64_t now, bool keep_alive)
{
    dps_write_text(w, "HTTP/1.1 ");
    dps_write_decimal(w, a->status);
    dps_write_text(w, " ");
    dps_write_text(w, dps_http_reason(a->status));
    dps_write_text(w, "\r\nDate: ");
    dps_write_http_date(w, now);
    dps_write_text(w, "\r\n");
    if (a->status != 204) {
        write_header(
            w, "Content-Type",
            bytes_of_text(a->content_type != NULL ? a->content_type : "application/json; charset=utf-8"));
        write_number_header(w, "Content-Length", a->body.len);
    }
    if (a->tracking_id[0] != 0) {
        write_header(w, "x-ms-request-id", bytes_of(a->tracking_id, sizeof a->tracking_id));
    }
    if (a->error_code != 0) {
        write_number_header(w, "x-ms-error-code", a->error_code);
    }
    if (a->has_retry_after) {
        write_number_header(w, "Retry-After", a->retry_after);
    }
    if (a->etag_header.len > 0) {
        write_header(w, "ETag", a->etag_header);
    }
    if (a->item_type != NULL) {
        write_header(w, "x-ms-item-type", bytes_of_text(a->item_type));
    }
    if (a->continuation_len > 0) {
        write_header(w, "x-ms-continuation", bytes_of(a->continuation, a->continuation_len));
    }
    dps_write_text(w, keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}
