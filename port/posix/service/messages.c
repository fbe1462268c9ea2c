/* SPDX-License-Identifier: MIT */
/* Messages to devices that are connected. Any process of any node may have put them into the store, so the store is
 * asked: once in a second for each device that listens here, and never if none does. To deliver, a connection that
 * waits for its device is given a request that nobody has sent: what follows is what follows any request. */
#include "dps/service/messages.h"
#include "port/posix/private.h"
#include "port/posix/service/protocol.h"
#include <string.h>

#define ROUND_MS 1000
#define LOOK_MS 100    /* between the parts of a round ... */
#define LOOK_MOST 100  /* ... in each of which the store is asked this often: 1000 devices in a second ... */
#define LOOK_FOR_MS 10 /* ... or, if it is slow, for this long, so that requests do not wait */

#if DPS_WITH_MQTT

static bool listens(const struct server_connection *c)
{
    return c->state != SERVER_FREE && c->hub_name != 0 && c->buffers->hub.inbox.open;
}

/* One that is in the middle of something has its turn in the next round. */
static void prompt(struct server *s, struct server_connection *c)
{
    if (c->state == SERVER_IDLE && !s->stopping) {
        c->prompted = true;
        server_connection_io(s, c);
    }
}

static void look(struct server *s)
{
    struct server_messages *m = &s->messages;
    const uint64_t until_ms = posix_monotonic_ms() + LOOK_FOR_MS;
    for (size_t asked = 0; m->next < s->connection_count && asked < LOOK_MOST; m->next++) {
        if (asked > 0 && posix_monotonic_ms() >= until_ms) {
            break;
        }
        struct server_connection *c = &s->connections[m->next];
        if (c->state == SERVER_IDLE && listens(c)) {
            asked++;
            if (dps_inbox_waits(&s->service, &c->buffers->hub.inbox)) {
                prompt(s, c);
            }
        }
    }
}

static bool anybody_listens(const struct server *s)
{
    for (size_t i = 0; i < s->connection_count; i++) {
        if (listens(&s->connections[i])) {
            return true;
        }
    }
    return false;
}

void server_messages_turn(struct server *s)
{
    struct server_messages *m = &s->messages;
    if (s->now_ms < m->look_at) {
        return;
    }
    if (m->next == 0) {
        m->round_begun = s->now_ms;
    }
    look(s);
    m->look_at = s->now_ms + LOOK_MS;
    if (m->next == s->connection_count) {
        m->next = 0;
        m->look_at = anybody_listens(s) ? m->round_begun + ROUND_MS : UINT64_MAX;
    }
}

void server_messages_watch(struct server *s)
{
    if (s->messages.look_at == UINT64_MAX) {
        s->messages.look_at = s->now_ms + ROUND_MS;
    }
}

void server_messages_queued(struct server *s, const struct server_connection *c)
{
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *device = &s->connections[i];
        if (listens(device) &&
            strcmp(device->buffers->hub.inbox.registration_id, c->buffers->answer.registration_id) == 0) {
            prompt(s, device);
        }
    }
}

#else

void server_messages_turn(struct server *s)
{
    (void)s;
}

void server_messages_watch(struct server *s)
{
    (void)s;
}

void server_messages_queued(struct server *s, const struct server_connection *c)
{
    (void)s, (void)c;
}

#endif
