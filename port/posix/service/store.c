/* SPDX-License-Identifier: MIT */
/* Which store: by its name on the command line. */
#include "port/posix/service/server.h"
#include "port/posix/store_memory.h"
#include "port/posix/store_postgres.h"
#include "port/posix/store_sqlite.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct posix_store_kind *const kinds[] = {&posix_sqlite_kind, &posix_postgres_kind,
                                                       &posix_memory_kind};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* Returns: null if there is none of that name. *argument is what follows its prefix. */
static const struct posix_store_kind *find(const char *name, const char **argument)
{
    for (size_t i = 0; i < KINDS; i++) {
        const size_t len = strlen(kinds[i]->prefix);
        if (strncmp(name, kinds[i]->prefix, len) == 0) {
            *argument = name + len;
            return kinds[i];
        }
    }
    return NULL;
}

/* A file needs a name; a kind without an argument takes none; a database may be named by its library. */
static bool may_follow(const struct posix_store_kind *kind, const char *argument)
{
    if (kind->argument[0] == 0) {
        return argument[0] == 0;
    }
    return kind->files == NULL || argument[0] != 0;
}

static int refuse(const char *name, char *why, size_t why_size)
{
    size_t used = (size_t)snprintf(why, why_size, "--store %s: it must be ", name);
    for (size_t i = 0; i < KINDS && used < why_size; i++) {
        const char *separator = i == 0 ? "" : i + 1 < KINDS ? ", " : " or ";
        used += (size_t)snprintf(why + used, why_size - used, "%s%s%s", separator, kinds[i]->prefix,
                                 kinds[i]->argument);
    }
    return BYTES_E_USAGE;
}

int server_store_open(struct server_store *s, const char *name, char *why, size_t why_size)
{
    const char *argument;
    const struct posix_store_kind *kind = find(name, &argument);
    memset(s, 0, sizeof *s);
    if (kind == NULL || !may_follow(kind, argument)) {
        return refuse(name, why, why_size);
    }
    s->state = calloc(1, kind->size);
    if (s->state == NULL) {
        snprintf(why, why_size, "there is no memory for the store");
        return BYTES_E_STORE;
    }
    const int error = kind->open(s->state, argument, why, why_size);
    if (error != 0) {
        free(s->state);
        memset(s, 0, sizeof *s);
        return error;
    }
    s->kind = kind;
    s->interface = kind->store(s->state);
    return 0;
}

void server_store_close(struct server_store *s)
{
    if (s->kind != NULL) {
        s->kind->close(s->state);
    }
    free(s->state);
    memset(s, 0, sizeof *s);
}

bool server_store_is_of_one_process(const char *name)
{
    const char *argument;
    const struct posix_store_kind *kind = find(name, &argument);
    return kind != NULL && kind->one_process;
}

bool server_store_exists(const char *name)
{
    const char *path;
    const struct posix_store_kind *kind = find(name, &path);
    return kind == NULL || kind->files == NULL || access(path, F_OK) == 0;
}

void server_store_remove(const char *name)
{
    const char *path;
    const struct posix_store_kind *kind = find(name, &path);
    char file[PATH_MAX];
    for (size_t i = 0; kind != NULL && kind->files != NULL && kind->files[i] != NULL; i++) {
        if ((size_t)snprintf(file, sizeof file, "%s%s", path, kind->files[i]) < sizeof file) {
            (void)unlink(file);
        }
    }
}

void server_store_write_name(struct bytes_writer *w, const char *name)
{
    const char *argument;
    const struct posix_store_kind *kind = find(name, &argument);
    if (kind != NULL && kind->secret) {
        bytes_write_bytes(w, bytes_of(kind->prefix, strlen(kind->prefix) - 1));
    } else {
        bytes_write_bytes(w, bytes_of_text(name));
    }
}
