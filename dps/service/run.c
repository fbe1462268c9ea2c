/* SPDX-License-Identifier: MIT */
/* A run: the time from a node's start to its end. Challenges depend on it, by random bytes, because everything else
 * that they are derived from comes back when a store is restored from a back-up (spec-notes.md, "A store that was
 * restored"). The store has a list of runs, each with the last time window in which it gave challenges, so that a
 * challenge of one node can be answered at another one, or after a restart. */
#include "dps/service/run.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/memory.h"
#include "dps/service/state.h"
#include <string.h>

#define ATTEMPTS 8 /* several nodes may write at once */

/* In the table of devices: no hub has an empty name. */
static const char list_key[] = "/runs";

uint64_t dps_window(const struct dps_service *s)
{
    return s->now / DPS_WINDOW_SECONDS;
}

enum dps_refusal dps_run_own(struct dps_service *s, struct dps_runs *runs)
{
    if (!dps_memory_run(s, runs->run[0].name)) {
        return DPS_REFUSED_INTERNAL;
    }
    runs->run[0].window = dps_window(s);
    runs->count = 1;
    return DPS_ACCEPTED;
}

static bool same_run(const struct dps_run *a, const struct dps_run *b)
{
    return memcmp(a->name, b->name, DPS_RUN_SIZE) == 0;
}

static int read_run(struct bytes hex, struct bytes number, struct dps_run *run)
{
    size_t len;
    const int error = dps_hex_decode(hex, run->name, sizeof run->name, &len);
    if (error != 0 || len != sizeof run->name) {
        return BYTES_E_FORMAT;
    }
    return dps_json_uint(number, UINT64_MAX, &run->window);
}

/* {"<hex>":window,...}, the latest first. Runs too old for an answer are left out; *there is our own, if it is in the
 * list. */
static bool read_list(struct bytes json, uint64_t window, struct dps_runs *runs, struct dps_run *there)
{
    struct bytes list;
    struct bytes hex;
    struct bytes number;
    size_t cursor = 0;
    if (dps_json_check(json, &list) != 0 || dps_json_kind(list) != DPS_JSON_OBJECT) {
        return false;
    }
    while (runs->count < DPS_RUNS && dps_json_next(list, &cursor, &hex, &number)) {
        struct dps_run run;
        if (read_run(hex, number, &run) != 0) {
            return false;
        }
        if (same_run(&run, &runs->run[0])) {
            *there = run;
        } else if (run.window + 1 >= window) {
            runs->run[runs->count++] = run;
        }
    }
    return true;
}

static void write_list(struct bytes_writer *w, const struct dps_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        dps_write_text(w, i == 0 ? "{\"" : ",\"");
        dps_write_hex(w, bytes_of(runs->run[i].name, DPS_RUN_SIZE));
        dps_write_text(w, "\":");
        dps_write_decimal(w, runs->run[i].window);
    }
    dps_write_text(w, "}");
}

/* *version is 0 if there is no list yet; *there: our own run as the list has it. */
static enum dps_refusal load(struct dps_service *s, struct dps_runs *runs, uint64_t *version,
                             struct dps_run *there)
{
    size_t len = 0;
    const enum dps_refusal no = dps_run_own(s, runs);
    memset(there, 0, sizeof *there);
    *version = 0;
    if (no != DPS_ACCEPTED) {
        return no;
    }
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_of_text(list_key), s->draft,
                                   sizeof s->draft, &len, version);
    if (error == BYTES_E_NOT_FOUND) {
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    return read_list(bytes_of(s->draft, len), dps_window(s), runs, there) ? DPS_ACCEPTED
                                                                          : DPS_REFUSED_INTERNAL;
}

enum dps_refusal dps_runs_load(struct dps_service *s, struct dps_runs *runs)
{
    uint64_t version;
    struct dps_run there;
    return load(s, runs, &version, &there);
}

static bool is_announced(const struct dps_run *there, const struct dps_run *own)
{
    return same_run(there, own) && there->window == own->window;
}

/* Our run is known to be there only when it has been read: a write may still fail with the turn's commit. */
enum dps_refusal dps_run_announce(struct dps_service *s, const struct dps_run *own, struct dps_answer *a)
{
    struct dps_runs runs;
    uint64_t version;
    int error = BYTES_E_CONFLICT;
    for (int i = 0; i < ATTEMPTS && error == BYTES_E_CONFLICT && !is_announced(&s->announced, own); i++) {
        const enum dps_refusal no = load(s, &runs, &version, &s->announced);
        if (no != DPS_ACCEPTED) {
            return no;
        }
        if (!is_announced(&s->announced, own)) {
            struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
            write_list(&w, &runs);
            error = s->store.put(s->store.context, DPS_TABLE_DEVICES, bytes_of_text(list_key),
                                 bytes_written(&w), version, &version);
            a->wrote = error == 0;
        }
    }
    return is_announced(&s->announced, own) || error == 0 ? DPS_ACCEPTED : DPS_REFUSED_STORE;
}
