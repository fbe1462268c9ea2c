/* SPDX-License-Identifier: MIT */
/* A run: the time from a node's start to its end. Challenges name it, by random bytes, because everything else that
 * they are derived from comes back when a store is put back from a back-up (spec-notes.md, "A store that was put
 * back"). The store has a list of the latest runs, so that a challenge of one node can be answered at another one, or
 * after a restart. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/service_parts.h"
#include <string.h>

#define ATTEMPTS 8 /* several nodes may start at once */

/* In the table of devices: no hub has an empty name. */
static const char list_key[] = "/runs";

static bool has_run(const struct dps_runs *runs, const uint8_t *run)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (memcmp(runs->run[i], run, DPS_RUN_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* ["<hex>", ...], the latest first; those that runs has already are left out. */
static bool read_list(struct bytes json, struct dps_runs *runs)
{
    struct bytes list;
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    if (dps_json_check(json, &list) != 0 || dps_json_kind(list) != DPS_JSON_ARRAY) {
        return false;
    }
    while (runs->count < DPS_RUNS && dps_json_next(list, &cursor, &name, &value)) {
        uint8_t hex[2 * DPS_RUN_SIZE];
        uint8_t *run = runs->run[runs->count];
        size_t len;
        if (dps_json_string(value, hex, sizeof hex, &len) != 0 ||
            dps_hex_decode(bytes_of(hex, len), run, DPS_RUN_SIZE, &len) != 0 || len != DPS_RUN_SIZE) {
            return false;
        }
        runs->count += !has_run(runs, run);
    }
    return true;
}

static void write_list(struct bytes_writer *w, const struct dps_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        dps_write_text(w, i == 0 ? "[\"" : "\",\"");
        dps_write_hex(w, bytes_of(runs->run[i], DPS_RUN_SIZE));
    }
    dps_write_text(w, "\"]");
}

/* *version is 0 if there is no list yet; *named: this node's run stands in it. */
static enum dps_refusal load(struct dps_service *s, struct dps_runs *runs, uint64_t *version, bool *named)
{
    struct dps_runs there = {.count = 0};
    size_t len = 0;
    const enum dps_refusal no = dps_run_own(s, runs);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_of_text(list_key), s->record2,
                                   sizeof s->record2, &len, version);
    *named = false;
    if (error == BYTES_E_NOT_FOUND) {
        *version = 0;
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    if (!read_list(bytes_of(s->record2, len), &there) || !read_list(bytes_of(s->record2, len), runs)) {
        return DPS_REFUSED_INTERNAL;
    }
    *named = has_run(&there, runs->run[0]);
    return DPS_ACCEPTED;
}

enum dps_refusal dps_runs_load(struct dps_service *s, struct dps_runs *runs)
{
    uint64_t version;
    bool named;
    return load(s, runs, &version, &named);
}

/* Known to be there only when it has been read: a write may still fail with the turn's commit. */
enum dps_refusal dps_run_announce(struct dps_service *s, struct dps_answer *a)
{
    struct dps_runs runs;
    uint64_t version = 0;
    bool named = false;
    int error = BYTES_E_CONFLICT;
    enum dps_refusal no = dps_run_own(s, &runs);
    if (no == DPS_ACCEPTED && memcmp(s->announced, runs.run[0], DPS_RUN_SIZE) == 0) {
        return DPS_ACCEPTED;
    }
    for (int i = 0; i < ATTEMPTS && no == DPS_ACCEPTED && error == BYTES_E_CONFLICT; i++) {
        no = load(s, &runs, &version, &named);
        if (no == DPS_ACCEPTED && named) {
            memcpy(s->announced, runs.run[0], DPS_RUN_SIZE);
            return DPS_ACCEPTED;
        }
        struct bytes_writer w = bytes_writer_over(s->record2, sizeof s->record2);
        write_list(&w, &runs);
        error = no != DPS_ACCEPTED
                    ? 0
                    : s->store.put(s->store.context, DPS_TABLE_DEVICES, bytes_of_text(list_key),
                                   bytes_written(&w), version, &version);
    }
    a->wrote = no == DPS_ACCEPTED && error == 0;
    return error != 0 ? DPS_REFUSED_STORE : no;
}
