/* SPDX-License-Identifier: MIT */
/* The memory that the processes of this node share, and its lock. */
#include "port/posix/service/server.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A process may be killed while it holds the lock. What the lock guards may then be half written, so it is reset:
 * sessions that could be resumed, the counts of the limits and the places of the hub are lost, and nothing else. The
 * files' content, which the lock guards too, is not reset: only the watching process writes it, and without that
 * process the others end. */
static void take(void *context)
{
    struct server_shared *shared = context;
    if (pthread_mutex_lock(&shared->mutex) != EOWNERDEAD) {
        return;
    }
    const struct crypto_lock lock = server_shared_lock(shared);
    memset(&shared->memory, 0, sizeof shared->memory);
    memset(shared->hub_places, 0, sizeof shared->hub_places);
    crypto_tls_cache_init(&shared->cache, shared->cache_storage, sizeof shared->cache_storage, &lock);
    (void)pthread_mutex_consistent(&shared->mutex);
}

static void leave(void *context)
{
    struct server_shared *shared = context;
    (void)pthread_mutex_unlock(&shared->mutex);
}

struct crypto_lock server_shared_lock(struct server_shared *shared)
{
    return (struct crypto_lock){shared, take, leave};
}

static bool open_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t kind;
    if (pthread_mutexattr_init(&kind) != 0) {
        return false;
    }
    const bool done = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 &&
                      pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 &&
                      pthread_mutex_init(mutex, &kind) == 0;
    (void)pthread_mutexattr_destroy(&kind);
    return done;
}

struct server_shared *server_shared_open(size_t workers)
{
    struct server_shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return NULL;
    }
    if (!open_mutex(&shared->mutex)) {
        (void)munmap(shared, sizeof *shared);
        return NULL;
    }
    const struct crypto_lock lock = server_shared_lock(shared);
    crypto_tls_cache_init(&shared->cache, shared->cache_storage, sizeof shared->cache_storage, &lock);
    shared->workers = workers;
    return shared;
}

/* The session cache holds master secrets. */
void server_shared_close(struct server_shared *shared)
{
    if (shared == NULL) {
        return;
    }
    bytes_wipe(&shared->cache, sizeof shared->cache);
    bytes_wipe(shared->cache_storage, sizeof shared->cache_storage);
    (void)munmap(shared, sizeof *shared);
}
