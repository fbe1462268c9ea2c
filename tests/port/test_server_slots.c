/* SPDX-License-Identifier: MIT */
/* Whose connections count together (port/posix/service/slots.c). What becomes of them is tested on the running service,
 * tests/e2e/server_attacks_test.py. */
#include "port/posix/service/server.h"
#include "tests/unit/test.h"
#include <arpa/inet.h>
#include <string.h>

enum { PLACES = 6 };

static struct server_config config = {.connections = PLACES};

static void note(struct server *s, size_t slot, const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&address, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(&address, &v6, sizeof v6);
    }
    server_peer_note(s, &s->connections[slot], &address);
}

static uint32_t connections_of(const struct server *s, size_t slot)
{
    return s->peers.all[s->connections[slot].peer_index].connections;
}

static int addresses(void)
{
    static struct server s;
    char why[128] = "";
    static const struct {
        const char *one, *other;
        bool together;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
        {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true}, /* one /64, which a client has for itself */
        {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {"::1", "0.0.0.1", false},
    };
    s.config = &config;
    s.entropy = posix_entropy();
    CHECK_EQUAL(server_slots_open(&s, why, sizeof why), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        note(&s, 0, cases[i].one);
        note(&s, 1, cases[i].other);
        CHECK((s.connections[0].peer_index == s.connections[1].peer_index) == cases[i].together);
        CHECK_EQUAL(connections_of(&s, 0), (cases[i].together ? 2 : 1));
        (void)server_slot_take(&s.pools[0]);
        (void)server_slot_take(&s.pools[0]);
        server_slot_give(&s, &s.connections[0]);
        CHECK_EQUAL(connections_of(&s, 1), 1);
        server_slot_give(&s, &s.connections[1]);
    }
    server_slots_close(&s);
    return 0;
}

/* As many addresses as places, again and again: none is lost, none is mistaken for another. */
static int many_addresses(void)
{
    static struct server s;
    char why[128] = "";
    s.config = &config;
    s.entropy = posix_entropy();
    CHECK_EQUAL(server_slots_open(&s, why, sizeof why), 0);
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i <= PLACES; i++) {
            char text[32];
            snprintf(text, sizeof text, "10.0.%u.%u", round % 256, i);
            note(&s, i, text);
            (void)server_slot_take(&s.pools[0]);
            CHECK_EQUAL(connections_of(&s, i), 1);
        }
        for (unsigned i = 0; i <= PLACES; i++) {
            server_slot_give(&s, &s.connections[(i + round) % (PLACES + 1)]);
        }
    }
    CHECK(server_slots_all_free(&s));
    server_slots_close(&s);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"slots: an IPv4 address, or an IPv6 /64, counts as one client", addresses},
        {"slots: as many addresses as places, a thousand times", many_addresses},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
