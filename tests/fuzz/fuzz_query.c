/* SPDX-License-Identifier: MIT */
/* The query language of the management API, on a store with three enrollments. Input: the text of the query. */
#include "dps/manage/admin_query.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/request.h"
#include "dps/service/state.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define RECORDS 4

static struct posix_memory_record records[RECORDS];
static struct posix_memory_record undo[RECORDS];
static struct posix_memory memory;
static struct dps_service service;

/* Only what a query looks at: it ignores the rest of an enrollment. */
static void put(const char *id, const char *status)
{
    uint8_t json[256];
    uint64_t version;
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    dps_write_text(&w, "{\"registrationId\":\"");
    dps_write_text(&w, id);
    dps_write_text(&w, "\",\"deviceId\":\"Device ");
    dps_write_text(&w, id);
    dps_write_text(&w, "\",\"provisioningStatus\":\"");
    dps_write_text(&w, status);
    dps_write_text(&w, "\"}");
    HOLDS(service.store.put(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text(id), bytes_written(&w), 0,
                            &version) == 0);
}

static void begin(void)
{
    if (memory.records != NULL) {
        return;
    }
    posix_memory_init(&memory, records, RECORDS, undo, RECORDS);
    service.store = posix_memory_store(&memory);
    put("a", "enabled");
    put("b-2", "disabled");
    put("c", "enabled");
    HOLDS(service.store.commit(&memory) == 0);
}

static void check_page(struct bytes page)
{
    struct bytes list;
    struct bytes name;
    struct bytes item;
    size_t cursor = 0;
    unsigned count = 0;
    HOLDS(dps_json_check(page, &list) == 0 && dps_json_kind(list) == DPS_JSON_ARRAY);
    while (dps_json_next(list, &cursor, &name, &item)) {
        HOLDS(dps_json_kind(item) == DPS_JSON_OBJECT);
        count++;
    }
    HOLDS(count <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t body[8192];
    static uint8_t answer_body[DPS_HTTP_BODY_MAX];
    static struct dps_request q;
    static struct dps_answer a;
    struct bytes_writer w = bytes_writer_over(body, sizeof body);
    begin();
    dps_write_text(&w, "{\"query\":");
    dps_write_json_string(&w, bytes_of(data, size));
    dps_write_text(&w, "}");
    memset(&q, 0, sizeof q);
    memset(&a, 0, sizeof a);
    q.body = bytes_written(&w);
    a.body = bytes_writer_over(answer_body, sizeof answer_body);
    const enum dps_refusal why = dps_admin_query(&service, &q, &a);
    HOLDS(why == DPS_ACCEPTED || why == DPS_REFUSED_QUERY || why == DPS_REFUSED_BODY);
    HOLDS(why != DPS_REFUSED_QUERY || a.detail[0] != 0);
    HOLDS(!a.wrote);
    if (why == DPS_ACCEPTED) {
        check_page(bytes_written(&a.body));
    }
    return 0;
}
