/* SPDX-License-Identifier: MIT */
/* How to guard memory that several processes share: an interface that a port implements. */
#ifndef CRYPTO_LOCK_H
#define CRYPTO_LOCK_H

/* Null functions: nobody shares, so there is nothing to guard. What happens between take and leave is short and waits
 * for nothing. take cannot fail: if the holder of the lock died, take gets the lock and resets what it guards. */
struct crypto_lock {
    void *context;
    void (*take)(void *context);
    void (*leave)(void *context);
};

static inline void crypto_lock_take(const struct crypto_lock *lock)
{
    if (lock->take != 0) {
        lock->take(lock->context);
    }
}

static inline void crypto_lock_leave(const struct crypto_lock *lock)
{
    if (lock->leave != 0) {
        lock->leave(lock->context);
    }
}

#endif
