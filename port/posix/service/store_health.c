/* SPDX-License-Identifier: MIT */
/* Does the store work, by what all processes of this node have seen? With a store that answers but takes no write (a
 * standby, a full disk, a missing right) nobody can register, so only a write proves that it works. */
#include "dps/protocol/text.h"
#include "dps/service/store.h"
#include "port/posix/service/server.h"

/* A success so shortly after a failure proves nothing: it was of another table, or another process's. */
#define CALM_MS 2000

const char *server_store_reason(const struct server *s)
{
    return s->store.reason != NULL ? s->store.reason(s->store.context) : "";
}

static bool is_calm(const struct server *s)
{
    /* Another process's failure may be later than the start of this one's turn. */
    return s->now_ms >= s->shared->store_failed_ms + CALM_MS;
}

void server_store_failed(struct server *s)
{
    s->shared->store_failed_ms = s->now_ms;
    if (!atomic_exchange(&s->shared->store_down, true)) {
        server_log_event(s, "error", NULL, "the store fails", server_store_reason(s));
    }
}

void server_store_worked(struct server *s)
{
    if (s->shared->store_down && is_calm(s) && atomic_exchange(&s->shared->store_down, false)) {
        server_log_event(s, "info", NULL, "the store works again", NULL);
    }
}

/* ---- The proof --------------------------------------------------------------------------------------------------- */

#define RANDOM_SIZE 8
#define SMALL_SIZE 64

/* After a failure for lack of space the store works again only when the largest record of a request fits. Random, so
 * that it cannot be compressed. */
static struct bytes write_value(struct server *s)
{
    uint8_t *random = s->service.draft;
    struct bytes_writer w = bytes_writer_over(s->service.record, sizeof s->service.record);
    const size_t size = s->shared->store_down ? (DPS_RECORD_MAX - 2) / 2 : SMALL_SIZE;
    if (s->entropy.fill(s->entropy.context, random, size) != 0) {
        return bytes_of(NULL, 0);
    }
    dps_write_text(&w, "\"");
    dps_write_hex(&w, bytes_of(random, size));
    dps_write_text(&w, "\"");
    return bytes_written(&w);
}

/* Everything that requests do to a record: made, changed, read, deleted. */
static bool try_table(struct server *s, enum dps_table table, struct bytes key, struct bytes value)
{
    const struct dps_store *store = &s->store;
    size_t len;
    uint64_t version;
    return store->put(store->context, table, key, value, 0, &version) == 0 &&
           store->put(store->context, table, key, value, version, &version) == 0 &&
           store->get(store->context, table, key, s->service.draft, sizeof s->service.draft, &len,
                      &version) == 0 &&
           store->remove(store->context, table, key, version) == 0;
}

/* A key that no request can name, and that no other process writes, so that no process waits for another. The buffers
 * are the service's, which are unused between requests. */
static bool try_all(struct server *s)
{
    uint8_t random[RANDOM_SIZE];
    uint8_t text[32];
    struct bytes_writer key = bytes_writer_over(text, sizeof text);
    const struct bytes written = write_value(s);
    if (written.len == 0 || s->entropy.fill(s->entropy.context, random, sizeof random) != 0 ||
        s->store.mark(s->store.context) != 0) {
        return false;
    }
    dps_write_text(&key, "/readyz/");
    dps_write_hex(&key, bytes_of(random, sizeof random));
    for (size_t table = 0; table < DPS_TABLE_COUNT; table++) {
        if (!try_table(s, (enum dps_table)table, bytes_written(&key), written)) {
            s->store.undo(s->store.context);
            return false;
        }
    }
    return true;
}

bool server_store_takes_writes(struct server *s)
{
    if (s->shared->store_down && !is_calm(s)) {
        return false;
    }
    if (try_all(s)) {
        return true;
    }
    server_store_failed(s);
    return false;
}
