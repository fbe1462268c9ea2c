/* SPDX-License-Identifier: MIT */
#include "dps/manage/admin_answer.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include <string.h>

enum dps_refusal dps_admin_refuse(struct dps_answer *a, enum dps_refusal refusal, const char *detail)
{
    dps_answer_detail(a, detail);
    return refusal;
}

/* What does not look like a name is not repeated. */
static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~') {
            return false;
        }
    }
    return name.len > 0 && name.len <= 80;
}

enum dps_refusal dps_admin_refuse_named(struct dps_answer *a, enum dps_refusal refusal, struct bytes name,
                                        const char *detail)
{
    struct bytes_writer w = bytes_writer_over((uint8_t *)a->detail, sizeof a->detail - 1);
    bytes_write_bytes(&w, is_name(name) ? name : bytes_of_text("this name"));
    dps_write_text(&w, detail);
    a->detail[bytes_written(&w).len] = '\0';
    return refusal;
}

void dps_admin_subject(struct dps_answer *a, struct bytes id)
{
    size_t len = id.len < sizeof a->registration_id ? id.len : sizeof a->registration_id - 1;
    memcpy(a->registration_id, id.p, len);
    a->registration_id[len] = 0;
}

enum dps_refusal dps_admin_store_refusal(int error)
{
    switch (error) {
    case 0:
        return DPS_ACCEPTED;
    case BYTES_E_NOT_FOUND:
        return DPS_REFUSED_UNKNOWN;
    case BYTES_E_CONFLICT:
        return DPS_REFUSED_ETAG;
    case BYTES_E_STORE:
        return DPS_REFUSED_STORE;
    default:
        return DPS_REFUSED_INTERNAL;
    }
}

enum dps_refusal dps_admin_load(struct dps_service *s, struct bytes key, struct bytes *record,
                                uint64_t *version)
{
    size_t len = 0;
    const int error = s->store.get(s->store.context, DPS_TABLE_ENROLLMENTS, key, s->record, sizeof s->record,
                                   &len, version);
    *record = bytes_of(s->record, error == 0 ? len : 0);
    return dps_admin_store_refusal(error);
}

/* The etag in JSON is a string with quotes inside: "\"1a\"". Clients send it back as it is. */
static void write_etag_member(struct bytes_writer *w, uint64_t version)
{
    uint8_t text[24];
    struct bytes_writer etag = bytes_writer_over(text, sizeof text);
    dps_etag_write(&etag, version);
    dps_write_text(w, ",\"etag\":");
    dps_write_json_string(w, bytes_written(&etag));
}

enum dps_refusal dps_admin_write_enrollment(struct dps_service *s, struct bytes_writer *w, struct bytes key,
                                            struct bytes record, uint64_t version)
{
    struct dps_registration registration;
    uint64_t registered;
    struct bytes object;
    struct bytes member;
    /* Operators can change records by SQL: one that is no longer an enrollment must not break the answer's JSON. */
    if (dps_json_check(record, &object) != 0 || dps_json_member(object, "registrationId", &member) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    bytes_write_bytes(w, bytes_of(object.p, object.len - 1));
    write_etag_member(w, version);
    const enum dps_refusal why = dps_load_registration(s, key, &registration, &registered);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    if (registered != 0 && !registration.deleted) {
        dps_write_text(w, ",\"registrationState\":{");
        dps_registration_write_state(w, &registration, registered);
        dps_write_text(w, "}");
    }
    dps_write_text(w, "}");
    return DPS_ACCEPTED;
}
