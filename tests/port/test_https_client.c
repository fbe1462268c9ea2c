/* SPDX-License-Identifier: MIT */
#include "port/posix/https_client.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <sys/socket.h>
#include <unistd.h>

static struct https client;

/* A peer that always has something to say, and never what is waited for. */
static pid_t talker(int listener, const void *words, size_t len)
{
    pid_t child = support_fork();
    if (child != 0) {
        return child;
    }
    int fd = accept(listener, NULL, NULL);
    while (send(fd, words, len, MSG_NOSIGNAL) > 0) {
        (void)usleep(5000);
    }
    _exit(0);
}

/* TLS warnings before a handshake, or silence: either way the connection's time ends; libssl ends it after five. */
static int held_for_ever(void)
{
    static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 90};
    static const struct crypto_trust nobody;
    for (int i = 0; i < 2; i++) {
        uint16_t port;
        int listener = support_listen(0, &port);
        pid_t peer = i == 0 ? talker(listener, warning, sizeof warning) : 0;
        https_init(&client, "localhost", port, &nobody);
        client.timeout_ms = 300;
        const int wanted = CRYPTO_TLS_OPENSSL && i == 0 ? BYTES_E_TLS : BYTES_E_TIMEOUT;
        CHECK_EQUAL(https_request(&client, bytes_of_text("GET / HTTP/1.1\r\n\r\n")), wanted);
        CHECK(client.reached && !client.open);
        https_end(&client);
        support_end(peer);
        (void)close(listener);
    }
    return 0;
}

/* The reason given for a failed connection is that connection's own. */
static int reasons(void)
{
    static const struct crypto_trust nobody;
    char text[POSIX_STREAM_ERROR_MAX];
    https_init(&client, "127.0.0.1", support_free_port(), &nobody);
    CHECK(https_request(&client, bytes_of_text("x")) == BYTES_E_STREAM && !client.reached);
    posix_stream_explain(&client.stream, BYTES_E_STREAM, text, sizeof text);
    CHECK(strstr(text, "Connection refused") != NULL && strstr(text, "What to do") != NULL);
    client.stream.connect_to = "nonsense";
    CHECK(https_request(&client, bytes_of_text("x")) == BYTES_E_USAGE);
    posix_stream_explain(&client.stream, BYTES_E_USAGE, text, sizeof text);
    CHECK(strstr(text, "--connect-to takes HOST:PORT, not \"nonsense\"") != NULL);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"a server that never stops talking is given up", held_for_ever},
        {"reasons why a connection fails", reasons},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
