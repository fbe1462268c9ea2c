/* SPDX-License-Identifier: MIT */
/* What the service remembers of requests that prove nothing: how many there were, and which SRK they named. Attackers
 * write here as much as devices do, so names are hashed with a key that nobody knows, the entry that loses least makes
 * room for a new one, and a request is never refused because something was forgotten. */
#include "dps/service/memory.h"
#include "crypto/crypto.h"
#include "dps/service/answer.h"
#include "dps/service/state.h"
#include <string.h>

#define SECOND UINT64_C(1000000000) /* in nanoseconds */
#define MINUTE (60 * SECOND)

#define HUB_WEIGHT 20     /* requests to the hub that count as one challenge: they cost no RSA work */
#define DEVICE_CLIENTS 10 /* a device may use its whole limit from this many client addresses */

/* Null if there is no entropy for its key. */
static struct dps_memory *memory_of(struct dps_service *s)
{
    struct dps_memory *m = s->shared != NULL ? s->shared : &s->memory;
    crypto_lock_take(&s->lock);
    if (!m->begun) {
        m->begun = s->entropy.fill(s->entropy.context, (uint8_t *)&m->random, sizeof m->random) == 0;
    }
    const bool begun = m->begun;
    crypto_lock_leave(&s->lock);
    return begun ? m : NULL;
}

bool dps_memory_run(struct dps_service *s, uint8_t name[DPS_RUN_SIZE])
{
    const struct dps_memory *m = memory_of(s);
    if (m != NULL) {
        memcpy(name, m->random.run, DPS_RUN_SIZE);
    }
    return m != NULL;
}

/* ---- Names ---------------------------------------------------------------------------------------------- */

enum what { OF_CLIENT, OF_DEVICE_AT_CLIENT, OF_DEVICE, A_HINT };

struct place {
    uint64_t name; /* never 0 */
    size_t first;  /* of DPS_WAYS places, among DPS_HINTS or DPS_BUCKETS */
};

static struct place place_of(const struct dps_memory *m, enum what what, uint8_t kind, struct bytes id,
                             struct bytes client)
{
    const uint8_t head[3] = {(uint8_t)what, kind, (uint8_t)id.len};
    const struct bytes pieces[4] = {bytes_of(m->random.key, sizeof m->random.key),
                                    bytes_of(head, sizeof head), id, client};
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(pieces, 4, digest); /* nobody sees it, so it need not be an HMAC */
    struct bytes_reader r = bytes_reader_over(bytes_of(digest, sizeof digest));
    const uint64_t name = bytes_read_u64(&r);
    const size_t sets = what == A_HINT ? DPS_HINTS / DPS_WAYS : DPS_BUCKETS / DPS_WAYS;
    return (struct place){.name = name | 1, .first = bytes_read_u32(&r) % sets * DPS_WAYS};
}

/* ---- Limits --------------------------------------------------------------------------------------------- */

/* Requests a minute, and who is counted. */
struct limit {
    uint64_t per_minute; /* 0: no limit */
    struct place place;
    struct dps_bucket *single; /* of a limit that has no names: its bucket; else null */
};

static struct limit limit_of(const struct dps_memory *m, enum what what, uint8_t counted, uint64_t per_minute,
                             struct bytes id, struct bytes client)
{
    struct limit l = {.per_minute = per_minute};
    if (per_minute != 0) {
        l.place = place_of(m, what, counted, id, client);
    }
    return l;
}

/* When it is or was empty, but not before now: a process with a slower clock than the one that charged it finds no
 * more room in it. A time that no request can have led to means that the clock was set back since. */
static uint64_t empty_from(const struct dps_bucket *b, uint64_t now)
{
    return b->empty_at > now && b->empty_at <= now + 2 * MINUTE ? b->empty_at : now;
}

/* Its bucket, or the one that it takes over: that which will be empty first has the least to forget. */
static struct dps_bucket *bucket_of(struct dps_memory *m, const struct limit *l, uint64_t now)
{
    struct dps_bucket *found = l->single != NULL ? l->single : &m->buckets[l->place.first];
    for (size_t i = 0; i < DPS_WAYS && l->single == NULL; i++) {
        struct dps_bucket *b = &m->buckets[l->place.first + i];
        if (b->name == l->place.name) {
            return b;
        }
        found = empty_from(b, now) < empty_from(found, now) ? b : found;
    }
    return found;
}

/* When it will be empty if one more request is admitted. */
static uint64_t with_one_more(const struct dps_bucket *b, const struct limit *l, uint64_t now)
{
    return (b->name == l->place.name ? empty_from(b, now) : now) + MINUTE / l->per_minute;
}

/* A bucket holds a minute's requests. Returns how long to wait, 0 if there is room for one more. */
static uint64_t time_to_wait(struct dps_memory *m, const struct limit *l, uint64_t now)
{
    const uint64_t until = l->per_minute != 0 ? with_one_more(bucket_of(m, l, now), l, now) : now;
    return until > now + MINUTE ? until - now - MINUTE : 0;
}

static void charge(struct dps_memory *m, const struct limit *l, uint64_t now)
{
    if (l->per_minute != 0) {
        struct dps_bucket *b = bucket_of(m, l, now);
        b->empty_at = with_one_more(b, l, now);
        b->name = l->place.name;
    }
}

/* Returns how long to wait; nothing is charged then. */
static uint64_t take(struct dps_memory *m, const struct limit *limits, size_t count, uint64_t now)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t wait = time_to_wait(m, &limits[i], now);
        if (wait > 0) {
            return wait;
        }
    }
    for (size_t i = 0; i < count; i++) {
        charge(m, &limits[i], now);
    }
    return 0;
}

enum dps_refusal dps_ration(struct dps_service *s, enum dps_ration kind, struct bytes id, bool known,
                            struct dps_answer *a)
{
    const struct dps_service_config *c = s->config;
    struct dps_memory *m = memory_of(s);
    if (m == NULL) {
        return DPS_REFUSED_INTERNAL;
    }
    const struct bytes none = {NULL, 0};
    const uint64_t weight = kind == DPS_RATION_HUB ? HUB_WEIGHT : 1;
    const uint64_t device = id.len > 0 ? weight * c->challenges_per_minute : 0;
    const uint64_t client =
        kind == DPS_RATION_MANAGEMENT ? c->management_per_client : weight * c->challenges_per_client;
    const uint8_t counted = (uint8_t)(2 * (unsigned)kind + known);
    const struct limit limits[] = {
        limit_of(m, OF_CLIENT, (uint8_t)kind, s->client.len > 0 ? client : 0, none, s->client),
        limit_of(m, OF_DEVICE_AT_CLIENT, counted, device, id, s->client),
        limit_of(m, OF_DEVICE, counted, device * DEVICE_CLIENTS, id, none),
        {.per_minute = weight * 60 * c->challenges_per_second, .single = &m->all[kind]},
    };
    crypto_lock_take(&s->lock);
    const uint64_t wait = take(m, limits, sizeof limits / sizeof limits[0], s->now * SECOND);
    crypto_lock_leave(&s->lock);
    a->has_retry_after = wait > 0;
    a->retry_after = (uint32_t)((wait + SECOND - 1) / SECOND);
    return wait > 0 ? DPS_REFUSED_RATE : DPS_ACCEPTED;
}

/* ---- Hints ---------------------------------------------------------------------------------------------- */

void dps_hint_remember(struct dps_service *s, struct bytes id, struct bytes srk)
{
    struct dps_memory *m = memory_of(s);
    if (m == NULL) {
        return;
    }
    const struct place place = place_of(m, A_HINT, 0, id, s->client);
    crypto_lock_take(&s->lock);
    struct dps_hint *hint = &m->hints[place.first];
    for (size_t i = 0; i < DPS_WAYS; i++) {
        struct dps_hint *h = &m->hints[place.first + i];
        if (h->name == place.name && bytes_equal_public(bytes_of(h->srk, h->srk_len), srk)) {
            hint = h;
            break;
        }
        hint = h->order < hint->order ? h : hint;
    }
    hint->name = place.name;
    hint->order = ++m->hints_made;
    memcpy(hint->srk, srk.p, srk.len);
    hint->srk_len = (uint16_t)srk.len;
    crypto_lock_leave(&s->lock);
}

bool dps_hint_recall(struct dps_service *s, struct bytes id, size_t number, uint8_t *srk, size_t *srk_len)
{
    struct dps_memory *m = memory_of(s);
    if (m == NULL) {
        return false;
    }
    const struct place place = place_of(m, A_HINT, 0, id, s->client);
    bool found = false;
    crypto_lock_take(&s->lock);
    for (size_t i = 0; i < DPS_WAYS && !found; i++) {
        const struct dps_hint *h = &m->hints[place.first + i];
        found = h->name == place.name && number-- == 0;
        if (found) {
            memcpy(srk, h->srk, h->srk_len);
            *srk_len = h->srk_len;
        }
    }
    crypto_lock_leave(&s->lock);
    return found;
}
