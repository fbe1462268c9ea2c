/* SPDX-License-Identifier: MIT */
/* What clients can cause in the log: bounded for each second and client, and the lines that are left out are counted in
 * a line of their own, even when nobody has read the log for a while. */
#include "port/posix/service/log.h"
#include "port/posix/service/server.h"
#include "tests/unit/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_MS 1000

static struct server s;
static struct server_counters counters;
static struct server_connection connection;
static struct server_buffers buffers;
static int reader;
static char text[1 << 20]; /* more than the pipe and the log's buffer hold */

static bool begin(void)
{
    int ends[2];
    memset(&s, 0, sizeof s);
    memset(&counters, 0, sizeof counters);
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1) {
        return false;
    }
    reader = ends[0];
    s.log.fd = ends[1];
    s.counters = &counters;
    s.now_ms = SECOND_MS;
    connection.buffers = &buffers;
    connection.unreadable = 400; /* there is no request whose method and path a line could name */
    return true;
}

static void end(void)
{
    (void)close(reader);
    (void)close(s.log.fd);
}

/* Adds what has been written to what was read before. */
static void read_all(size_t *len)
{
    ssize_t n;
    while (*len < sizeof text - 1 && (n = read(reader, text + *len, sizeof text - 1 - *len)) > 0) {
        *len += (size_t)n;
    }
    text[*len] = 0;
}

static unsigned lines_with(const char *word)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

/* The sum of such a number over all lines that say what was left out. */
static unsigned long said(const char *name)
{
    unsigned long sum = 0;
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        sum += strtoul(at + strlen(name), NULL, 10);
    }
    return sum;
}

static void refuse(const char *client, enum dps_refusal refusal, unsigned count)
{
    snprintf(connection.client, sizeof connection.client, "%s", client);
    buffers.answer.refusal = refusal;
    buffers.answer.status = 401;
    for (unsigned i = 0; i < count; i++) {
        server_log_answer(&s, &connection);
    }
}

static int a_flood(void)
{
    size_t len = 0;
    CHECK(begin());
    refuse("192.0.2.1", DPS_REFUSED_TOKEN_SIGNATURE, 1000);
    server_log_turn(&s);
    read_all(&len);
    const unsigned of_one = lines_with("event=refused");
    CHECK(of_one > 0 && of_one < 100);
    /* Another client, and another kind of refusal, still have their line. */
    refuse("192.0.2.2", DPS_REFUSED_TOKEN_SIGNATURE, 1);
    refuse("192.0.2.1", DPS_REFUSED_TOKEN_EXPIRED, 1);
    server_log_turn(&s);
    read_all(&len);
    CHECK_EQUAL(lines_with("event=refused"), of_one + 2);
    for (unsigned i = 0; i < 1000; i++) {
        server_log_event(&s, "info", &connection, "closed", "a test");
    }
    s.now_ms += SECOND_MS;
    server_log_turn(&s);
    read_all(&len);
    CHECK_EQUAL(said("refusals="), 1000 - of_one);
    CHECK_EQUAL(said("events="), 1000 - lines_with("event=closed"));
    CHECK_EQUAL(said("unread="), 0);
    CHECK_EQUAL(counters.log_left_out, said("refusals=") + said("events="));
    end();
    return 0;
}

/* Nobody reads, for so long that the line of what was left out finds no room either. */
static int nobody_reads(void)
{
    const unsigned seconds = 2000;
    size_t len = 0;
    unsigned asked = 0;
    CHECK(begin());
    for (unsigned i = 0; i < seconds; i++) {
        refuse("192.0.2.1", DPS_REFUSED_TOKEN_SIGNATURE, 100);
        asked += 100;
        s.now_ms += SECOND_MS;
        server_log_turn(&s);
    }
    /* What had no room is reported as soon as there is room. */
    for (int i = 0; i < 100; i++) {
        read_all(&len);
        s.now_ms += SECOND_MS;
        server_log_turn(&s);
    }
    read_all(&len);
    CHECK(said("unread=") > 0);
    /* "unread" also counts lines that said what was left out, but never twice: none of them is in the sum. */
    CHECK_EQUAL(lines_with("event=refused") + said("refusals=") + said("unread="), asked);
    CHECK_EQUAL(server_log_turn_at(&s.log), UINT64_MAX);
    end();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"a flood of refusals and events is bounded, and counted", a_flood},
        {"lines that nobody reads are counted too", nobody_reads},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
