/* SPDX-License-Identifier: MIT */
/* Counters of all processes of this node, in the text format of Prometheus
 * [prometheus.io/docs/instrumenting/exposition_formats], and two questions that a supervisor asks. */
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "dps/protocol/version.h"
#include "dps/service/answer.h"
#include "port/posix/service/protocol.h"

static const uint32_t bounds_us[SERVER_BOUNDS] = {250,   500,   1000,   2500,   5000,    10000,
                                                  25000, 50000, 100000, 250000, 1000000, 5000000};

/* ---- Counting ---------------------------------------------------------------------------------------------------- */

static void observe(struct server_histogram *h, uint64_t us)
{
    size_t i = 0;
    while (i < SERVER_BOUNDS && us > bounds_us[i]) {
        i++;
    }
    h->count[i]++;
    h->sum_us += us;
}

void server_count_answer(struct server *s, const struct server_connection *c)
{
    const struct dps_answer *a = &c->buffers->answer;
    struct server_counters *k = s->counters;
    enum server_route route = SERVER_ROUTE_OTHER;
    if (c->unreadable == 0) {
        route = c->protocol->route(c);
    }
    k->accepted[a->refusal < DPS_REFUSAL_COUNT ? a->refusal : DPS_REFUSED_INTERNAL]++;
    k->challenges += route == SERVER_ROUTE_REGISTER && a->status == 401 && a->refusal == DPS_ACCEPTED;
    k->messages_queued += a->messages_queued;
    k->messages_sent += a->messages_sent;
    k->messages_acknowledged += a->messages_acknowledged;
    k->assignments += route == SERVER_ROUTE_REGISTER && a->status == 202;
    if (a->refusal == DPS_REFUSED_STORE) {
        k->store_failures++;
        server_store_failed(s);
    }
    observe(&k->answer[route], server_now_us() - c->complete_us);
}

void server_count_commit(struct server *s, uint64_t us, bool failed)
{
    observe(&s->counters->commit, us);
    s->counters->store_failures += failed;
    if (failed) {
        server_store_failed(s);
    } else {
        server_store_worked(s);
    }
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void write_head(struct bytes_writer *w, const char *name, const char *type, const char *help)
{
    dps_write_text(w, "# HELP ");
    dps_write_text(w, name);
    dps_write_text(w, " ");
    dps_write_text(w, help);
    dps_write_text(w, "\n# TYPE ");
    dps_write_text(w, name);
    dps_write_text(w, " ");
    dps_write_text(w, type);
    dps_write_text(w, "\n");
}

/* A line; label may be null: NAME{LABEL="VALUE"} NUMBER. */
static void write_sample(struct bytes_writer *w, const char *name, const char *label, const char *value,
                         uint64_t number)
{
    dps_write_text(w, name);
    if (label != NULL) {
        dps_write_text(w, "{");
        dps_write_text(w, label);
        dps_write_text(w, "=\"");
        dps_write_text(w, value);
        dps_write_text(w, "\"}");
    }
    dps_write_text(w, " ");
    dps_write_decimal(w, number);
    dps_write_text(w, "\n");
}

static void write_one(struct bytes_writer *w, const char *name, const char *type, const char *help,
                      uint64_t number)
{
    write_head(w, name, type, help);
    write_sample(w, name, NULL, NULL, number);
}

/* Microseconds as seconds: 0.000250. */
static void write_seconds(struct bytes_writer *w, uint64_t us)
{
    dps_write_decimal(w, us / 1000000);
    dps_write_text(w, ".");
    for (uint64_t digit = 100000; digit > 0; digit /= 10) {
        dps_write_decimal(w, us / digit % 10);
    }
}

static void write_series(struct bytes_writer *w, const char *name, const char *suffix, const char *label)
{
    dps_write_text(w, name);
    dps_write_text(w, suffix);
    if (label != NULL) {
        dps_write_text(w, "{route=\"");
        dps_write_text(w, label);
        dps_write_text(w, "\"");
    } else {
        dps_write_text(w, "{");
    }
}

/* h is summed up over all processes; each bucket contains those below it. */
static void write_histogram(struct bytes_writer *w, const char *name, const char *label,
                            const uint64_t count[SERVER_BOUNDS + 1], uint64_t sum_us)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= SERVER_BOUNDS; i++) {
        total += count[i];
        write_series(w, name, "_bucket", label);
        dps_write_text(w, label != NULL ? ",le=\"" : "le=\"");
        if (i < SERVER_BOUNDS) {
            write_seconds(w, bounds_us[i]);
        } else {
            dps_write_text(w, "+Inf");
        }
        dps_write_text(w, "\"} ");
        dps_write_decimal(w, total);
        dps_write_text(w, "\n");
    }
    write_series(w, name, "_sum", label);
    dps_write_text(w, "} ");
    write_seconds(w, sum_us);
    dps_write_text(w, "\n");
    write_series(w, name, "_count", label);
    dps_write_text(w, "} ");
    dps_write_decimal(w, total);
    dps_write_text(w, "\n");
}

/* ---- Adding up --------------------------------------------------------------------------------------------------- */

static void sum_histogram(const struct server *s, size_t offset, uint64_t count[SERVER_BOUNDS + 1],
                          uint64_t *sum_us)
{
    *sum_us = 0;
    for (size_t i = 0; i <= SERVER_BOUNDS; i++) {
        count[i] = 0;
    }
    for (size_t k = 0; k < s->shared->workers; k++) {
        const uint8_t *base = (const uint8_t *)&s->shared->counters[k];
        const struct server_histogram *h = (const struct server_histogram *)(const void *)(base + offset);
        for (size_t i = 0; i <= SERVER_BOUNDS; i++) {
            count[i] += h->count[i];
        }
        *sum_us += h->sum_us;
    }
}

static uint64_t sum(const struct server *s, size_t offset)
{
    uint64_t total = 0;
    for (size_t k = 0; k < s->shared->workers; k++) {
        const uint8_t *base = (const uint8_t *)&s->shared->counters[k];
        total += *(const _Atomic uint64_t *)(const void *)(base + offset);
    }
    return total;
}

#define SUM(s, member) sum((s), offsetof(struct server_counters, member))

static void write_outcomes(struct bytes_writer *w, const struct server *s)
{
    /* All codes from the start: an alarm on a rate misses a counter whose first value is 1. */
    write_head(w, "dps_answers_total", "counter",
               "Answers by errorCode; 0 for those that were not refusals.");
    for (size_t i = 0; i < DPS_REFUSAL_COUNT; i++) {
        char code[16];
        const uint64_t number =
            sum(s, offsetof(struct server_counters, accepted) + i * sizeof(_Atomic uint64_t));
        snprintf(code, sizeof code, "%u", (unsigned)dps_refusal_text((enum dps_refusal)i)->code);
        write_sample(w, "dps_answers_total", "code", code, number);
    }
    write_one(w, "dps_challenges_total", "counter", "Step 6: challenges made.", SUM(s, challenges));
    write_one(w, "dps_assignments_total", "counter", "Step 9: registrations that succeeded.",
              SUM(s, assignments));
    write_head(w, "dps_messages_total", "counter",
               "Messages to devices: put into queues; sent, again too; acknowledged.");
    write_sample(w, "dps_messages_total", "what", "queued", SUM(s, messages_queued));
    write_sample(w, "dps_messages_total", "what", "sent", SUM(s, messages_sent));
    write_sample(w, "dps_messages_total", "what", "acknowledged", SUM(s, messages_acknowledged));
}

static void write_latencies(struct bytes_writer *w, const struct server *s)
{
    uint64_t count[SERVER_BOUNDS + 1];
    uint64_t sum_us;
    write_head(w, "dps_answer_seconds", "histogram",
               "From the last byte of a request to its durable answer, by route.");
    for (size_t r = 0; r < SERVER_ROUTES; r++) {
        sum_histogram(s, offsetof(struct server_counters, answer) + r * sizeof(struct server_histogram),
                      count, &sum_us);
        write_histogram(w, "dps_answer_seconds", server_route_names[r], count, sum_us);
    }
    write_head(w, "dps_store_commit_seconds", "histogram", "What it took to make one turn's writes durable.");
    sum_histogram(s, offsetof(struct server_counters, commit), count, &sum_us);
    write_histogram(w, "dps_store_commit_seconds", NULL, count, sum_us);
}

static uint64_t count_ready(const struct server *s)
{
    uint64_t ready = 0;
    for (size_t k = 0; k < s->shared->workers; k++) {
        ready += s->shared->counters[k].ready;
    }
    return ready;
}

static void write_state(struct bytes_writer *w, const struct server *s)
{
    write_head(w, "dps_build_info", "gauge", "1, with the version of this program.");
    write_sample(w, "dps_build_info", "version", dps_version(), 1);
    write_one(w, "dps_tls_handshakes_total", "counter", "TLS handshakes that succeeded.", SUM(s, handshakes));
    write_one(w, "dps_tls_failures_total", "counter", "TLS handshakes that did not.",
              SUM(s, handshakes_failed));
    write_one(w, "dps_connections_total", "counter", "Connections accepted.", SUM(s, connections_opened));
    write_one(w, "dps_connections", "gauge", "Connections that are open.", SUM(s, connections));
    write_one(w, "dps_connections_evicted_total", "counter",
              "Connections that were closed because their place was needed.", SUM(s, evicted));
    write_one(w, "dps_connections_turned_away_total", "counter",
              "New connections of an address that has all that --client-connections allows.",
              SUM(s, turned_away));
    write_one(w, "dps_log_left_out_total", "counter",
              "Lines about clients that are not in the log: they were too many.", SUM(s, log_left_out));
    write_one(w, "dps_turns_total", "counter", "Turns of the event loops that answered something.",
              SUM(s, turns));
    write_one(w, "dps_turn_requests_total", "counter",
              "Requests answered in them; divided by the turns: the queue length.", SUM(s, turn_requests));
    write_one(w, "dps_store_failures_total", "counter",
              "Requests and commits that failed because of the store.", SUM(s, store_failures));
    write_one(w, "dps_store_up", "gauge", "0 from a failure of the store on until it takes a write again.",
              !s->shared->store_down);
    write_one(w, "dps_workers_ready", "gauge", "Processes that serve.", count_ready(s));
    write_one(w, "dps_workers_restarted_total", "counter", "Processes that had to be restarted.",
              s->shared->restarts);
}

/* ---- Answering --------------------------------------------------------------------------------------------------- */

static void plain(struct dps_answer *a, uint16_t status, const char *text)
{
    a->status = status;
    a->content_type = "text/plain; charset=utf-8";
    dps_write_text(&a->body, text);
}

/* The metrics listener is for operators, who may read what the database says. */
static void not_writable(const struct server *s, struct dps_answer *a)
{
    plain(a, 503, "the store takes no writes: ");
    dps_write_text(&a->body, server_store_reason(s));
    dps_write_text(&a->body, "\n");
}

void server_metrics_answer(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    struct dps_answer *a = &b->answer;
    *a = (struct dps_answer){.body = bytes_writer_over(b->body, sizeof b->body)};
    const struct bytes path =
        c->unreadable == 0 ? dps_http_path(dps_http_target(&c->http, b->request)) : bytes_of_text("");
    if (c->unreadable != 0) {
        plain(a, 400, "malformed request\n");
    } else if (bytes_equal_public(path, bytes_of_text("/metrics"))) {
        a->status = 200;
        a->content_type = "text/plain; version=0.0.4; charset=utf-8";
        write_outcomes(&a->body, s);
        write_latencies(&a->body, s);
        write_state(&a->body, s);
    } else if (bytes_equal_public(path, bytes_of_text("/healthz"))) {
        plain(a, 200, "alive\n");
    } else if (bytes_equal_public(path, bytes_of_text("/readyz"))) {
        if (s->stopping) {
            plain(a, 503, "stopping\n");
        } else if (!(a->wrote = server_store_takes_writes(s))) {
            not_writable(s, a);
        } else {
            plain(a, 200, "ready\n");
        }
    } else {
        plain(a, 404, "there is /metrics, /healthz and /readyz\n");
    }
}
