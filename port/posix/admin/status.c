/* SPDX-License-Identifier: MIT */
/* dps-admin enable, disable and status. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/tool.h"
#include <string.h>

/* ---- enable and disable ---- */

/* What the service writes itself is left out. */
static bool is_sent_back(struct bytes name)
{
    static const char *const not_sent[] = {"provisioningStatus", "etag", "createdDateTimeUtc",
                                           "lastUpdatedDateTimeUtc", "registrationState"};
    for (size_t i = 0; i < sizeof not_sent / sizeof not_sent[0]; i++) {
        if (bytes_equal_public(name, bytes_of_text(not_sent[i]))) {
            return false;
        }
    }
    return true;
}

static void write_with_status(struct bytes_writer *w, struct bytes enrollment, const char *status)
{
    struct bytes name, value;
    size_t cursor = 0;
    dps_write_text(w, "{\"provisioningStatus\":\"");
    dps_write_text(w, status);
    dps_write_text(w, "\"");
    while (dps_json_next(enrollment, &cursor, &name, &value)) {
        if (!is_sent_back(name)) {
            continue;
        }
        dps_write_text(w, ",\"");
        bytes_write_bytes(w, name);
        dps_write_text(w, "\":");
        bytes_write_bytes(w, value);
    }
    dps_write_text(w, "}");
}

/* It becomes a header, so it must not hold a line end. */
static bool read_etag(struct bytes enrollment, char *etag, size_t size)
{
    struct bytes value;
    size_t len;
    if (dps_json_member(enrollment, "etag", &value) != 0 ||
        dps_json_string(value, (uint8_t *)etag, size - 1, &len) != 0 || len == 0) {
        return false;
    }
    etag[len] = 0;
    for (size_t i = 0; i < len; i++) {
        if (etag[i] < 0x20 || etag[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Read and write back, with the etag: if somebody else changes it in between, the service refuses and nothing is
 * lost. */
static int set_status(struct admin_tool *t, const char *status)
{
    char etag[256];
    struct bytes answer, root, now;
    struct bytes_writer w = bytes_writer_over(t->body, sizeof t->body);
    struct admin_request request = {
        .method = "GET", .collection = "enrollments", .name = t->options.arguments[0]};
    int exit_code = admin_check_id(request.name);
    if (exit_code == 0) {
        exit_code = admin_open(t);
    }
    if (exit_code == 0) {
        exit_code = admin_ask(t, &request, &answer);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    if (dps_json_check(answer, &root) != 0 || !read_etag(root, etag, sizeof etag)) {
        return admin_explain_malformed();
    }
    bool already = dps_json_member(root, "provisioningStatus", &now) == 0 && dps_json_string_is(now, status);
    if (!already) {
        write_with_status(&w, root, status);
        request.method = "PUT";
        request.if_match = etag;
        request.body = bytes_written(&w);
        exit_code =
            w.error != 0 ? admin_explain(t, &request, BYTES_E_SPACE) : admin_ask(t, &request, &answer);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    if (admin_json(t)) {
        printf("%.*s\n", (int)answer.len, (const char *)answer.p);
    } else {
        printf("%s: %s%s\n", request.name, already ? "was already " : "", status);
    }
    return 0;
}

int admin_enable(struct admin_tool *t)
{
    return set_status(t, "enabled");
}

int admin_disable(struct admin_tool *t)
{
    return set_status(t, "disabled");
}

/* ---- status ---- */

static const char *const states[] = {"assigned", "assigning", "unassigned", "failed", "disabled"};
#define STATE_COUNT (sizeof states / sizeof states[0])

struct tally {
    const struct admin_tool *t;
    uint64_t enrollments, disabled, registered[STATE_COUNT + 1]; /* the last one: in another state */
    bool clock_known;
    int64_t ahead;
};

static void count_one(struct tally *tally, struct bytes enrollment)
{
    struct bytes value, state;
    size_t i = 0;
    tally->enrollments++;
    if (dps_json_member(enrollment, "provisioningStatus", &value) == 0 &&
        dps_json_string_is(value, "disabled")) {
        tally->disabled++;
    }
    if (dps_json_member(enrollment, "registrationState", &state) != 0 ||
        dps_json_kind(state) != DPS_JSON_OBJECT) {
        return;
    }
    (void)dps_json_member(state, "status", &value);
    while (i < STATE_COUNT && !dps_json_string_is(value, states[i])) {
        i++;
    }
    tally->registered[i]++;
}

static int count_page(void *context, struct bytes page)
{
    struct tally *tally = context;
    struct bytes name, item;
    size_t cursor = 0;
    if (!tally->clock_known) {
        tally->clock_known = admin_clock_difference(tally->t, &tally->ahead);
    }
    while (dps_json_next(page, &cursor, &name, &item)) {
        count_one(tally, item);
    }
    return 0;
}

static uint64_t count_registered(const struct tally *tally)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= STATE_COUNT; i++) {
        sum += tally->registered[i];
    }
    return sum;
}

static void print_json(const struct tally *tally)
{
    const struct admin_tool *t = tally->t;
    printf("{\"service\":\"%s:%u\",", t->host, t->port);
    if (tally->clock_known) {
        printf("\"clockAheadSeconds\":%lld,", (long long)tally->ahead);
    }
    printf("\"enrollments\":%llu,\"enabled\":%llu,\"disabled\":%llu,\"registrations\":{",
           (unsigned long long)tally->enrollments, (unsigned long long)(tally->enrollments - tally->disabled),
           (unsigned long long)tally->disabled);
    for (size_t i = 0; i <= STATE_COUNT; i++) {
        printf("%s\"%s\":%llu", i > 0 ? "," : "", i < STATE_COUNT ? states[i] : "other",
               (unsigned long long)tally->registered[i]);
    }
    puts("}}");
}

static void print_count(const char *title, uint64_t number)
{
    printf("%-22s%llu\n", title, (unsigned long long)number);
}

static void print_text(const struct tally *tally)
{
    const struct admin_tool *t = tally->t;
    const int64_t ahead = tally->ahead;
    printf("%-22s%s:%u answers\n", "service", t->host, t->port);
    if (!tally->clock_known) {
        printf("%-22sthe service did not say\n", "clock");
    } else if (ahead >= -1 && ahead <= 1) {
        printf("%-22sas that of the service\n", "clock");
    } else {
        printf("%-22s%lld seconds %s that of the service\n", "clock", (long long)(ahead > 0 ? ahead : -ahead),
               ahead > 0 ? "ahead of" : "behind");
    }
    print_count("enrollments", tally->enrollments);
    print_count("  enabled", tally->enrollments - tally->disabled);
    print_count("  disabled", tally->disabled);
    print_count("registered", count_registered(tally));
    for (size_t i = 0; i <= STATE_COUNT; i++) {
        char title[32];
        snprintf(title, sizeof title, "  %s", i < STATE_COUNT ? states[i] : "other");
        if (tally->registered[i] > 0) {
            print_count(title, tally->registered[i]);
        }
    }
    print_count("not registered yet", tally->enrollments - count_registered(tally));
}

int admin_status(struct admin_tool *t)
{
    struct tally tally = {.t = t};
    int exit_code = admin_open(t);
    if (exit_code == 0) {
        exit_code = admin_each_page(t, count_page, &tally);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    if (admin_json(t)) {
        print_json(&tally);
    } else {
        print_text(&tally);
    }
    return 0;
}
