/* SPDX-License-Identifier: MIT */
/* No SQLite for foreign processors: only the two names that port/posix/posix.h needs. The store is in memory. */
#ifndef TESTS_CROSS_INCLUDE_SQLITE3_H
#define TESTS_CROSS_INCLUDE_SQLITE3_H

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

#endif
