/* SPDX-License-Identifier: MIT */
/* One answer: what it says, and how it is put into words. */
#ifndef DPS_SERVICE_ANSWER_H
#define DPS_SERVICE_ANSWER_H

#include "dps/service/state.h"

/* One answer. Body is written into the caller's buffer; the head is made from the rest by dps_answer_write_head. */
struct dps_answer {
    uint16_t status;
    uint32_t error_code; /* 0 or the errorCode of the body; also in x-ms-error-code */
    struct bytes_writer body;
    bool has_retry_after;
    uint32_t retry_after; /* seconds */
    bool wrote;           /* the store was changed: valid only after commit */
    uint8_t messages_queued, messages_sent, messages_acknowledged; /* to devices: for logs and metrics */
    enum dps_refusal refusal;                                      /* for logs */
    uint8_t tracking_id[36];  /* x-ms-request-id; also in error bodies; zeros: none */
    struct bytes etag_header; /* views etag_text, or empty */
    uint8_t etag_text[24];
    const char *content_type;              /* null: JSON */
    const char *item_type;                 /* x-ms-item-type of a query's answer, or null */
    uint8_t continuation[2 * DPS_KEY_MAX]; /* x-ms-continuation, or empty */
    uint16_t continuation_len;
    char registration_id[DPS_REGISTRATION_ID_MAX + 1]; /* for logs: whom it was about; empty if nobody */
    uint8_t ek_digest[32]; /* for logs: SHA-256 of the EK_pub that was shown ... */
    bool has_ek;           /* ... if there was one */
    char detail[160];      /* for logs and error bodies: more about a refusal */
};

/* Start an answer whose body goes into body_buffer, and give it a name. */
void dps_answer_begin(struct dps_service *s, uint8_t *body_buffer, size_t body_capacity,
                      struct dps_answer *a);

/* Make the answer a refusal: status, codes, error JSON. */
void dps_answer_refuse(struct dps_service *s, struct dps_answer *a, enum dps_refusal why);

/* The same without a body: for the log, where a protocol has other words for it. */
void dps_answer_note(struct dps_answer *a, enum dps_refusal why);

/* Set a->detail to a constant text. */
void dps_answer_detail(struct dps_answer *a, const char *detail);

/* The status line and headers with the final empty line; Content-Length is body.len. */
void dps_answer_write_head(struct bytes_writer *w, const struct dps_answer *a, uint64_t now, bool keep_alive);

/* A limit as text, for what tells it to the client. */
#define DPS_LIMIT_TEXT(limit) DPS_LIMIT_TEXT_OF(limit)
#define DPS_LIMIT_TEXT_OF(number) #number

#endif
