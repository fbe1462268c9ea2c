/* SPDX-License-Identifier: MIT */
#include "port/posix/posix.h"
#include "port/posix/proxy.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 60000
#define STEPS(s) (s), sizeof(s) / sizeof(s)[0]

static uint64_t now_ms(void)
{
    struct port_clock clock = posix_clock();
    return clock.monotonic_ms(clock.context);
}

/* Read until len bytes are there or an error comes. */
static int read_exactly(struct port_stream *p, uint8_t *out, size_t len)
{
    uint64_t end = now_ms() + TIMEOUT_MS;
    while (len > 0) {
        int n = p->read(p->context, out, len, 100);
        if (n < 0) {
            return n;
        }
        if (n == 0 && now_ms() > end) {
            return BYTES_E_TIMEOUT;
        }
        out += n;
        len -= (size_t)n;
    }
    return 0;
}

static int refused(void)
{
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    CHECK_EQUAL(p.connect(p.context, "127.0.0.1", support_free_port(), TIMEOUT_MS), BYTES_E_STREAM);
    CHECK_EQUAL(s.fd, -1);
    CHECK_EQUAL(p.connect(p.context, "no-such-host.invalid", 443, TIMEOUT_MS), BYTES_E_STREAM);
    p.close(p.context);
    return 0;
}

static int exchange_and_close(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    static const struct support_step steps[] = {{"pong", 4, false, true}};
    pid_t peer = support_peer(listener, STEPS(steps), false);
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    uint8_t answer[8];
    CHECK_EQUAL(p.connect(p.context, "localhost", port, TIMEOUT_MS), 0);
    /* Nothing yet is 0, not an error. */
    CHECK_EQUAL(p.read(p.context, answer, sizeof answer, 10), 0);
    CHECK_EQUAL(p.write(p.context, (const uint8_t *)"ping", 4, TIMEOUT_MS), 4);
    CHECK(read_exactly(&p, answer, 4) == 0 && memcmp(answer, "pong", 4) == 0);
    CHECK_EQUAL(read_exactly(&p, answer, 1), BYTES_E_STREAM);
    p.close(p.context);
    CHECK_EQUAL(s.fd, -1);
    support_end(peer);
    (void)close(listener);
    return 0;
}

/* The peer has gone away: an error, and no SIGPIPE, which would end this test. */
static int write_to_a_closed_peer(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    CHECK_EQUAL(p.connect(p.context, "127.0.0.1", port, TIMEOUT_MS), 0);
    int fd = accept(listener, NULL, NULL);
    struct linger reset = {.l_onoff = 1};
    CHECK_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    (void)close(fd);
    struct pollfd reset_came = {.fd = s.fd, .events = POLLIN};
    CHECK_EQUAL(poll(&reset_came, 1, TIMEOUT_MS), 1);
    /* The first write learns of the reset; the second is the one that a signal would answer. */
    int n = 0;
    for (int i = 0; i < 3; i++) {
        n = p.write(p.context, (const uint8_t *)"ping", 4, 100);
    }
    CHECK_EQUAL(n, BYTES_E_STREAM);
    p.close(p.context);
    (void)close(listener);
    return 0;
}

/* A peer that does not read: write moves what fits and then says 0 after its timeout. */
static int write_stalls(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    static const uint8_t bytes[65536];
    CHECK_EQUAL(p.connect(p.context, "127.0.0.1", port, TIMEOUT_MS), 0);
    int n;
    uint64_t begin;
    do {
        begin = now_ms();
        n = p.write(p.context, bytes, sizeof bytes, 50);
    } while (n > 0);
    CHECK(n == 0 && now_ms() - begin >= 45);
    p.close(p.context);
    (void)close(listener);
    return 0;
}

/* A listener whose queue is full drops further connections, as a host that swallows packets does. */
static int connect_times_out(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    CHECK_EQUAL(listen(listener, 0), 0);
    struct posix_stream filler[4] = {{0}};
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    for (size_t i = 0; i < 4; i++) {
        struct port_stream f = posix_stream_port(&filler[i]);
        (void)f.connect(f.context, "127.0.0.1", port, 50);
    }
    uint64_t begin = now_ms();
    CHECK_EQUAL(p.connect(p.context, "127.0.0.1", port, 200), BYTES_E_TIMEOUT);
    uint64_t took = now_ms() - begin;
    CHECK(took >= 190 && s.fd == -1);
    for (size_t i = 0; i < 4; i++) {
        if (filler[i].fd >= 0) {
            (void)close(filler[i].fd);
        }
    }
    (void)close(listener);
    return 0;
}

static int connect_to_overrides(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    static const struct support_step steps[] = {{"hi", 2, true, false}};
    pid_t peer = support_peer(listener, STEPS(steps), true);
    char to[32];
    snprintf(to, sizeof to, "127.0.0.1:%u", (unsigned)port);
    struct posix_stream s = {.connect_to = to};
    struct port_stream p = posix_stream_port(&s);
    uint8_t answer[2];
    CHECK_EQUAL(p.connect(p.context, "no-such-host.invalid", 1, TIMEOUT_MS), 0);
    CHECK_EQUAL(read_exactly(&p, answer, 2), 0);
    p.close(p.context);
    support_end(peer);
    (void)close(listener);
    return 0;
}

static int malformed_overrides(void)
{
    static const char *const places[] = {"",           "host",      "host:",   ":443",      "host:0",
                                         "host:65536", "host:443x", "::1:443", "host: 443", "[]:443"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct posix_stream s = {.connect_to = places[i]};
        struct port_stream p = posix_stream_port(&s);
        CHECK_EQUAL(p.connect(p.context, "localhost", 443, TIMEOUT_MS), BYTES_E_USAGE);
    }
    return 0;
}

/* A proxy on a port of this machine; userinfo is empty or ends with '@'. */
static struct posix_proxy local_proxy(const char *userinfo, uint16_t port)
{
    struct posix_proxy p;
    char url[160];
    char why[512];
    snprintf(url, sizeof url, "http://%s127.0.0.1:%u/", userinfo, (unsigned)port);
    if (posix_proxy_choose(&p, url, NULL, why, sizeof why) != 0) {
        printf("# %s\n", why);
    }
    return p;
}

/* The request, byte for byte, as a proxy sees it. The second Basic is the example of RFC 7617 2. */
static int proxy_request(void)
{
    static const struct {
        const char *userinfo, *host, *request;
    } cases[] = {
        {"", "dps.example", "CONNECT dps.example:443 HTTP/1.1\r\nHost: dps.example:443\r\n\r\n"},
        {"", "::1", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"},
        {"u:p@", "x", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"},
        {"Aladdin:open%20sesame@", "x",
         "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n"
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t port;
        int listener = support_listen(0, &port);
        char seen[256] = "";
        const struct posix_proxy proxy = local_proxy(cases[i].userinfo, port);
        struct posix_stream s = {.proxy = &proxy};
        struct port_stream p = posix_stream_port(&s);
        /* Nobody accepts, so there is no answer; the request waits in the connection. */
        CHECK_EQUAL(p.connect(p.context, cases[i].host, 443, 2000), BYTES_E_TIMEOUT);
        int fd = accept(listener, NULL, NULL);
        CHECK(recv(fd, seen, sizeof seen - 1, 0) > 0);
        CHECK_EQUAL(seen, cases[i].request);
        (void)close(fd);
        (void)close(listener);
    }
    return 0;
}

static const struct proxy_case {
    const char *answer;
    int result;
    unsigned status;
    bool bytewise;
} proxy_cases[] = {
    {"HTTP/1.1 200 Connection established\r\n\r\nT", 0, 200, false},
    {"HTTP/1.1 200 OK\r\nVia: x\r\nDate: y\r\n\r\nT", 0, 200, true},
    {"HTTP/1.0 200 OK\r\n\r\nT", 0, 200, false},
    {"HTTP/1.1 204 No Content\r\n\r\nT", 0, 204, false},
    /* A length there has no meaning; the next byte is the tunnel's. */
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nT", 0, 200, false},
    {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", BYTES_E_STREAM, 407, false},
    {"HTTP/1.1 502 Bad Gateway\r\n\r\n", BYTES_E_STREAM, 502, false},
    {"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", BYTES_E_STREAM, 302, false},
    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", BYTES_E_STREAM, 0, false},
    {"HTTP/1.1 20 OK\r\n\r\n", BYTES_E_STREAM, 0, false},
    {"HTTP/1.1 2000 OK\r\n\r\n", BYTES_E_STREAM, 0, false},
    {"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", BYTES_E_STREAM, 0, false},
    {"HTTP/1.1 200 OK\r\n", BYTES_E_STREAM, 0, false},
    {"", BYTES_E_STREAM, 0, false},
};

static int proxy_answers(void)
{
    for (size_t i = 0; i < sizeof proxy_cases / sizeof proxy_cases[0]; i++) {
        const struct proxy_case *c = &proxy_cases[i];
        uint16_t port;
        int listener = support_listen(0, &port);
        const struct support_step step = {c->answer, strlen(c->answer), false, c->bytewise};
        pid_t peer = support_peer(listener, &step, 1, false);
        const struct posix_proxy proxy = local_proxy("", port);
        struct posix_stream s = {.proxy = &proxy};
        struct port_stream p = posix_stream_port(&s);
        int result = p.connect(p.context, "dps.example", 443, TIMEOUT_MS);
        if (result != c->result || s.proxy_status != c->status) {
            printf("# answer %zu: %d, status %u\n", i, result, s.proxy_status);
        }
        CHECK(result == c->result && s.proxy_status == c->status);
        uint8_t first = 0;
        if (result == 0) {
            CHECK(read_exactly(&p, &first, 1) == 0 && first == 'T');
        }
        p.close(p.context);
        support_end(peer);
        (void)close(listener);
    }
    return 0;
}

/* A head without end: refused at the limit, not read forever. */
static int proxy_head_without_end(void)
{
    static char head[3 * DPS_HTTP_HEAD_MAX];
    size_t len = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n");
    while (len + 8 < sizeof head) {
        memcpy(head + len, "X: yzu\r\n", 8);
        len += 8;
    }
    uint16_t port;
    int listener = support_listen(0, &port);
    const struct support_step step = {head, len, false, false};
    pid_t peer = support_peer(listener, &step, 1, true);
    const struct posix_proxy proxy = local_proxy("", port);
    struct posix_stream s = {.proxy = &proxy};
    struct port_stream p = posix_stream_port(&s);
    CHECK(p.connect(p.context, "dps.example", 443, TIMEOUT_MS) == BYTES_E_STREAM && s.fd == -1);
    support_end(peer);
    (void)close(listener);
    return 0;
}

/* A proxy that says nothing is given up when the time is over, and at once for a signal. */
static int proxy_without_end(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    const struct posix_proxy proxy = local_proxy("", port);
    struct posix_stream s = {.proxy = &proxy};
    struct port_stream p = posix_stream_port(&s);
    char text[POSIX_STREAM_ERROR_MAX];
    CHECK(p.connect(p.context, "dps.example", 443, 2000) == BYTES_E_TIMEOUT && s.reached);
    posix_stream_explain(&s, BYTES_E_TIMEOUT, text, sizeof text);
    CHECK(strstr(text, "did not answer in time") != NULL);
    posix_interrupted = 1;
    uint64_t begin = now_ms();
    CHECK_EQUAL(p.connect(p.context, "dps.example", 443, 600000), BYTES_E_TIMEOUT);
    posix_interrupted = 0;
    CHECK(now_ms() - begin < 300000);
    (void)close(listener);
    return 0;
}

/* Not even a proxy that keeps talking has more than its time, or gets away with interim answers only. */
static int proxy_goes_on(void)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static char all[40 * sizeof interim];
    size_t len = 0;
    for (; len + sizeof interim < sizeof all; len += sizeof interim - 1) {
        memcpy(all + len, interim, sizeof interim - 1);
    }
    for (size_t bytewise = 0; bytewise < 2; bytewise++) {
        uint16_t port;
        int listener = support_listen(0, &port);
        const struct support_step step = {all, len, false, bytewise != 0};
        pid_t peer = support_peer(listener, &step, 1, true);
        const struct posix_proxy proxy = local_proxy("", port);
        struct posix_stream s = {.proxy = &proxy};
        struct port_stream p = posix_stream_port(&s);
        const int error = p.connect(p.context, "dps.example", 443, bytewise != 0 ? 10 : 60000);
        CHECK(error == (bytewise != 0 ? BYTES_E_TIMEOUT : BYTES_E_STREAM) && s.fd == -1);
        support_end(peer);
        (void)close(listener);
    }
    return 0;
}

static int clock_and_interruption(void)
{
    struct port_clock clock = posix_clock();
    CHECK(clock.unix_seconds(clock.context) > 1700000000);
    uint64_t begin = now_ms();
    CHECK_EQUAL(clock.sleep_ms(clock.context, 30), 0);
    CHECK(now_ms() - begin >= 29);
    posix_interrupted = 1;
    int slept = clock.sleep_ms(clock.context, 60000);
    struct posix_stream s = {0};
    struct port_stream p = posix_stream_port(&s);
    uint16_t port;
    int listener = support_listen(0, &port);
    (void)p.connect(p.context, "127.0.0.1", port, 60000);
    posix_interrupted = 0;
    CHECK(slept == BYTES_E_TIMEOUT && now_ms() - begin < 60000);
    p.close(p.context);
    (void)close(listener);
    return 0;
}

static int entropy(void)
{
    uint8_t a[300], b[300];
    struct crypto_entropy e = posix_entropy();
    CHECK(e.fill(e.context, a, sizeof a) == 0 && e.fill(e.context, b, sizeof b) == 0);
    CHECK(memcmp(a, b, sizeof a) != 0);
    struct crypto_drbg d1, d2;
    struct crypto_entropy s1 = posix_entropy_seeded(&d1, "walkthrough");
    struct crypto_entropy s2 = posix_entropy_seeded(&d2, "walkthrough");
    CHECK(s1.fill(s1.context, a, sizeof a) == 0 && s2.fill(s2.context, b, sizeof b) == 0);
    CHECK(memcmp(a, b, sizeof a) == 0);
    s2 = posix_entropy_seeded(&d2, "other");
    CHECK(s2.fill(s2.context, b, sizeof b) == 0 && memcmp(a, b, sizeof a) != 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"stream: refused connection and unknown host", refused},
        {"stream: exchange, then the peer closes", exchange_and_close},
        {"stream: writing to a closed peer raises no signal", write_to_a_closed_peer},
        {"stream: a peer that does not read stalls a write", write_stalls},
        {"stream: connect times out", connect_times_out},
        {"stream: connect_to overrides host and port", connect_to_overrides},
        {"stream: malformed connect_to and proxy are refused", malformed_overrides},
        {"proxy: the request", proxy_request},
        {"proxy: good and bad answers", proxy_answers},
        {"proxy: a head without end", proxy_head_without_end},
        {"proxy: silence", proxy_without_end},
        {"proxy: one that keeps talking", proxy_goes_on},
        {"clock: time, sleep and interruption", clock_and_interruption},
        {"entropy: of the system and seeded", entropy},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
