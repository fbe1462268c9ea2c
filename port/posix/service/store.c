/* SPDX-License-Identifier: MIT */
/* Which store: by its name on the command line. */
#include "port/posix/service/server.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SQLITE "sqlite:"
#define POSTGRES "postgres:"
#define MEMORY "memory:"

#define MEMORY_RECORDS 4096
#define MEMORY_UNDO 1024

/* What follows the prefix, or null if name does not begin with it. */
static const char *behind(const char *name, const char *prefix)
{
    const size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

static int open_memory(struct server_store *s, char *why, size_t why_size)
{
    struct posix_memory_record *records = calloc(MEMORY_RECORDS, sizeof *records);
    struct posix_memory_record *undo = calloc(MEMORY_UNDO, sizeof *undo);
    if (records == NULL || undo == NULL) {
        snprintf(why, why_size, "there is no memory for the store");
        free(records);
        free(undo);
        return BYTES_E_STORE;
    }
    s->kind = SERVER_STORE_MEMORY;
    posix_memory_init(&s->memory, records, MEMORY_RECORDS, undo, MEMORY_UNDO);
    s->interface = posix_memory_store(&s->memory);
    return 0;
}

static int open_sqlite(struct server_store *s, const char *path, char *why, size_t why_size)
{
    const int error = posix_sqlite_open(&s->sqlite, path, why, why_size);
    if (error == 0) {
        s->kind = SERVER_STORE_SQLITE;
        s->interface = posix_sqlite_store(&s->sqlite);
    }
    return error;
}

static int open_postgres(struct server_store *s, const char *conninfo, char *why, size_t why_size)
{
    const int error = posix_postgres_open(&s->postgres, conninfo, why, why_size);
    if (error == 0) {
        s->kind = SERVER_STORE_POSTGRES;
        s->interface = posix_postgres_store(&s->postgres);
    }
    return error;
}

int server_store_open(struct server_store *s, const char *name, char *why, size_t why_size)
{
    const char *path = behind(name, SQLITE);
    const char *conninfo = behind(name, POSTGRES);
    memset(s, 0, sizeof *s);
    if (path != NULL && path[0] != 0)
        return open_sqlite(s, path, why, why_size);
    if (conninfo != NULL)
        return open_postgres(s, conninfo, why, why_size);
    if (strcmp(name, MEMORY) == 0)
        return open_memory(s, why, why_size);
    snprintf(why, why_size, "--store %s: it must be sqlite:FILE, postgres:CONNINFO or memory:", name);
    return BYTES_E_USAGE;
}

void server_store_close(struct server_store *s)
{
    if (s->kind == SERVER_STORE_SQLITE)
        posix_sqlite_close(&s->sqlite);
    if (s->kind == SERVER_STORE_POSTGRES)
        posix_postgres_close(&s->postgres);
    free(s->memory.records);
    free(s->memory.undo);
    memset(s, 0, sizeof *s);
}

bool server_store_exists(const char *name)
{
    const char *path = behind(name, SQLITE);
    return path == NULL || access(path, F_OK) == 0;
}

/* The main file last: without it nobody would look at the others. */
void server_store_remove(const char *name)
{
    static const char *const parts[] = {"-wal", "-shm", ""};
    const char *path = behind(name, SQLITE);
    char file[PATH_MAX];
    for (size_t i = 0; path != NULL && i < sizeof parts / sizeof parts[0]; i++) {
        if ((size_t)snprintf(file, sizeof file, "%s%s", path, parts[i]) < sizeof file)
            (void)unlink(file);
    }
}

const char *server_store_name(const char *name)
{
    return behind(name, POSTGRES) != NULL ? "postgres" : name;
}
