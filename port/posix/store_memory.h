/* SPDX-License-Identifier: MIT */
/* The store in memory. */
#ifndef PORT_POSIX_STORE_MEMORY_H
#define PORT_POSIX_STORE_MEMORY_H

#include "port/posix/store.h"

/* A fixed number of records in storage of the caller (tests, gateways). A put that finds no free record
 * or no room in the undo log answers BYTES_E_STORE and changes nothing; the turn goes on. */
struct posix_memory_record {
    uint8_t table; /* enum dps_table + 1; 0: free */
    uint16_t key_len;
    uint16_t len;
    uint64_t version; /* in the undo log 0: there was no such record before */
    uint8_t key[DPS_KEY_MAX];
    uint8_t value[DPS_RECORD_MAX];
};
struct posix_memory {
    struct posix_memory_record *records; /* capacity of them, given by the caller */
    size_t capacity;
    uint64_t version;
    struct posix_memory_record *undo; /* what each write of this turn replaced, oldest first */
    size_t undo_capacity;
    size_t undo_count;
    size_t mark; /* undo_count when the mark was set */
};
void posix_memory_init(struct posix_memory *m, struct posix_memory_record *records, size_t capacity,
                       struct posix_memory_record *undo, size_t undo_capacity);
struct dps_store posix_memory_store(struct posix_memory *m);
extern const struct posix_store_kind posix_memory_kind;

#endif
