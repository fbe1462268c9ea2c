/* SPDX-License-Identifier: MIT */
/* Places for connections, and which connection has to give its place up when there are no more.
 *
 * A place is worth most to a client that is being served, and nothing to a silent one. So, when one is needed, the
 * longest wait decides, first among those that have not sent a complete request, then among those that keep us waiting
 * in the middle of something, then among the idle ones, then among devices with a session at the hub. What has already
 * arrived is read before: no client loses its place because we were slow. */
#include "port/posix/service/server.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Places of the metrics listener: for a scraper, two supervisors, and people. */
#define RESERVED 8
/* One round trip on a bad line. A peer in the middle of something has this much time, and so has a new one, unless so
 * many are new (a FLOOD-th part of all places, or of those that one client may have) that it cannot be chance. */
#define PATIENCE_MS 500
#define FLOOD 4
#define SESSIONS_LEAVE 4
/* How many connections one eviction looks at, and reads from. */
#define LOOKS_MAX 256
#define READS_MAX 4

/* ---- Memory ---- */

#define BUFFERS_STRIDE ((sizeof(struct server_buffers) + SERVER_PAGE - 1) / SERVER_PAGE * SERVER_PAGE)

struct server_buffers *server_buffers_of(const struct server *s, uint32_t index)
{
    return (struct server_buffers *)(void *)(s->buffers + index * BUFFERS_STRIDE);
}

static bool open_pool(struct server_pool *pool, size_t first, size_t count)
{
    pool->free = calloc(count, sizeof *pool->free);
    if (pool->free == NULL) {
        return false;
    }
    pool->count = count;
    while (pool->free_count < count) {
        pool->free[pool->free_count] = (uint32_t)(first + count - 1 - pool->free_count);
        pool->free_count++;
    }
    return true;
}

static bool open_peers(struct server_peers *p, size_t count)
{
    p->head_count = 1;
    while (p->head_count < count) {
        p->head_count *= 2;
    }
    p->all = calloc(count, sizeof *p->all);
    p->heads = calloc(p->head_count, sizeof *p->heads);
    if (p->all == NULL || p->heads == NULL) {
        return false;
    }
    memset(p->heads, 0xFF, p->head_count * sizeof *p->heads); /* SERVER_NO_PEER */
    for (uint32_t i = 0; i < count; i++) {
        p->all[i].next = i + 1 < count ? i + 1 : SERVER_NO_PEER;
    }
    return true;
}

int server_slots_open(struct server *s, char *why, size_t why_size)
{
    const size_t clients = s->config->connections + 1;
    const size_t n = clients + RESERVED;
    s->connections = calloc(n, sizeof *s->connections);
    for (size_t i = 0; i < 2; i++) {
        s->complete[i] = calloc(n, sizeof *s->complete[i]);
    }
    /* Not from malloc: whole pages, which the system gives when they are touched and takes back when it is told to. */
    void *buffers = mmap(NULL, n * BUFFERS_STRIDE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    s->buffers = buffers == MAP_FAILED ? NULL : buffers;
    s->buffers_len = n * BUFFERS_STRIDE;
    if (!open_pool(&s->pools[0], 0, clients) || !open_pool(&s->pools[1], clients, RESERVED) ||
        !open_peers(&s->peers, clients) || s->connections == NULL || s->buffers == NULL ||
        s->complete[0] == NULL || s->complete[1] == NULL) {
        snprintf(why, why_size, "there is no memory for %zu connections of %zu KiB; lower --connections", n,
                 BUFFERS_STRIDE / 1024);
        return BYTES_E_USAGE;
    }
    s->connection_count = n;
    return s->entropy.fill(s->entropy.context, s->peers.key, sizeof s->peers.key);
}

void server_slots_close(struct server *s)
{
    free(s->connections);
    if (s->buffers != NULL) {
        (void)munmap(s->buffers, s->buffers_len);
    }
    for (size_t i = 0; i < 2; i++) {
        free(s->pools[i].free);
        free(s->complete[i]);
    }
    free(s->peers.all);
    free(s->peers.heads);
}

struct server_pool *server_pool_of(struct server *s, enum server_listener_kind kind)
{
    return &s->pools[kind == SERVER_METRICS];
}

bool server_slots_all_free(const struct server *s)
{
    return s->pools[0].free_count + s->pools[1].free_count == s->connection_count;
}

uint32_t server_slot_take(struct server_pool *pool)
{
    return pool->free[--pool->free_count];
}

/* ---- Client addresses ---- */

static void address_of(const struct sockaddr_storage *address, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* [RFC 4291 2.5.5.2] */
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, address, sizeof v4);
    memcpy(&v6, address, sizeof v6);
    if (address->ss_family != AF_INET6) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &v4.sin_addr, 4);
        return;
    }
    memcpy(out, &v6.sin6_addr, 16);
    if (memcmp(out, mapped, sizeof mapped) != 0) {
        memset(out + 8, 0, 8);
    }
}

static uint32_t *head_of(struct server_peers *p, const uint8_t address[16])
{
    uint8_t digest[32];
    const struct bytes pieces[] = {{p->key, sizeof p->key}, {address, 16}};
    crypto_sha256(pieces, 2, digest);
    const uint32_t hash =
        (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    return &p->heads[hash & (p->head_count - 1)];
}

void server_peer_note(struct server *s, struct server_connection *c, const struct sockaddr_storage *address)
{
    struct server_peers *p = &s->peers;
    uint8_t key[16];
    address_of(address, key);
    uint32_t *head = head_of(p, key);
    uint32_t i = *head;
    while (i != SERVER_NO_PEER && memcmp(p->all[i].address, key, sizeof key) != 0) {
        i = p->all[i].next;
    }
    if (i == SERVER_NO_PEER) {
        /* There are as many peers as connections. */
        i = p->free;
        p->free = p->all[i].next;
        p->all[i].next = *head;
        *head = i;
        memcpy(p->all[i].address, key, sizeof key);
    }
    p->all[i].connections++;
    c->peer_index = i;
}

static void leave_peer(struct server_peers *p, uint32_t peer)
{
    if (peer == SERVER_NO_PEER || --p->all[peer].connections > 0) {
        return;
    }
    uint32_t *link = head_of(p, p->all[peer].address);
    while (*link != peer) {
        link = &p->all[*link].next;
    }
    *link = p->all[peer].next;
    p->all[peer].next = p->free;
    p->free = peer;
}

/* ---- Who waits for what ---- */

static enum server_waiting waits_for(const struct server_connection *c)
{
    switch (c->state) {
    case SERVER_FREE:
    case SERVER_COMPLETE:
    case SERVER_ANSWERED:
        return SERVER_WAITS_NOT;
    case SERVER_IDLE:
        if (c->served) {
            return c->latest == UINT64_MAX ? SERVER_WAITS_IDLE : SERVER_WAITS_SESSION;
        }
        break;
    case SERVER_HANDSHAKE:
    case SERVER_HEAD:
    case SERVER_BODY:
    case SERVER_SENDING:
    case SERVER_CLOSING:
    case SERVER_LINGERING:
        break;
    }
    return c->transport.spoke ? SERVER_WAITS_PEER : SERVER_WAITS_NEW;
}

static void take_out(struct server_list *list, struct server_connection *c)
{
    *(c->before != NULL ? &c->before->after : &list->first) = c->after;
    *(c->after != NULL ? &c->after->before : &list->last) = c->before;
    list->count--;
}

static void append(struct server_list *list, struct server_connection *c)
{
    c->before = list->last;
    c->after = NULL;
    *(list->last != NULL ? &list->last->after : &list->first) = c;
    list->last = c;
    list->count++;
}

/* A part of a request, or of its first message, does not restart a wait. */
void server_slot_note(struct server *s, struct server_connection *c, enum server_state before)
{
    struct server_pool *pool = server_pool_of(s, c->kind);
    const enum server_waiting now = waits_for(c);
    if (now == c->waits && (now == SERVER_WAITS_NEW || (before == SERVER_HEAD && c->state == SERVER_BODY))) {
        return;
    }
    if (c->waits != SERVER_WAITS_NOT) {
        take_out(&pool->waiting[c->waits], c);
    }
    if (now != SERVER_WAITS_NOT) {
        append(&pool->waiting[now], c);
    }
    c->waits = now;
    c->since = s->now_ms;
}

void server_slot_give(struct server *s, struct server_connection *c)
{
    struct server_pool *pool = server_pool_of(s, c->kind);
    leave_peer(&s->peers, c->peer_index);
    pool->free[pool->free_count++] = (uint32_t)(c - s->connections);
}

/* ---- Eviction ---- */

/* Returns: whether the place is free. */
static bool evict(struct server *s, struct server_connection *c)
{
    const enum server_waiting waits = c->waits;
    const uint64_t since = c->since;
    const enum server_state state = c->state;
    server_connection_io(s, c);
    if (c->state == SERVER_FREE) {
        return true;
    }
    if (c->waits != waits || c->since != since || (waits >= SERVER_WAITS_IDLE && c->state != state)) {
        return false;
    }
    s->counters->evicted++;
    server_log_event(s, "info", c, "closed", "its place is needed for a new connection");
    if (waits >= SERVER_WAITS_IDLE) {
        (void)server_transport_finish(&c->transport);
    }
    server_connection_abort(s, c);
    return true;
}

static bool has_time(const struct server_list *list, enum server_waiting waits, size_t most)
{
    return waits == SERVER_WAITS_PEER || (waits == SERVER_WAITS_NEW && list->count <= most / FLOOD);
}

/* Others must not take the places of sessions, however fast they come and go; and devices that stay must not keep all
 * others out. So sessions are safe while they leave a SESSIONS_LEAVE-th part of all places. When it is descriptors that
 * are missing, or an address has its share, they count like others. */
static enum server_waiting kinds_to_evict(const struct server_pool *pool, uint32_t peer)
{
    const bool safe = pool->waiting[SERVER_WAITS_SESSION].count <= pool->count - pool->count / SESSIONS_LEAVE;
    return safe && peer == SERVER_NO_PEER && pool->free_count == 0 ? SERVER_WAITS_SESSION : SERVER_WAITS;
}

bool server_slots_evict(struct server *s, struct server_pool *pool, uint32_t peer,
                        const struct server_connection *except)
{
    const size_t most = peer == SERVER_NO_PEER ? pool->count : s->config->client_connections;
    const int kinds = (int)kinds_to_evict(pool, peer);
    unsigned reads = 0;
    for (int i = 0; i < kinds; i++) {
        const uint64_t time = has_time(&pool->waiting[i], (enum server_waiting)i, most) ? PATIENCE_MS : 0;
        struct server_connection *c = pool->waiting[i].first;
        for (unsigned looks = 0; c != NULL && looks < LOOKS_MAX; looks++) {
            struct server_connection *after = c->after;
            if (c != except && s->now_ms - c->since >= time &&
                (peer == SERVER_NO_PEER || c->peer_index == peer)) {
                if (evict(s, c)) {
                    return true;
                }
                if (++reads == READS_MAX) {
                    return false;
                }
            }
            c = after;
        }
    }
    return false;
}

uint64_t server_slots_evict_at(const struct server *s, const struct server_pool *pool)
{
    uint64_t at = UINT64_MAX;
    for (int i = 0; i < SERVER_WAITS_SESSION; i++) {
        const struct server_connection *c = pool->waiting[i].first;
        if (c != NULL && c->since + PATIENCE_MS < at) {
            at = c->since + PATIENCE_MS;
        }
    }
    return at > s->now_ms ? at : s->now_ms + 1;
}
