/* SPDX-License-Identifier: MIT */
/* The hosts of a connection string, one by one: "host=db1,db2 port=5432" [PostgreSQL documentation, libpq, "Specifying
 * Multiple Hosts"]. */
#include "port/posix/store_postgres.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a list of options says of one; null: nothing. */
static const char *value_of(const PQconninfoOption *options, const char *name)
{
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (strcmp(o->keyword, name) == 0 && o->val != NULL && o->val[0] != 0) {
            return o->val;
        }
    }
    return NULL;
}

/* Where the string says nothing, the environment counts. Lists of a service file are libpq's own affair. */
static const char *list_of(const PQconninfoOption *said, const char *name, const char *variable)
{
    const char *list = value_of(said, name);
    if (list == NULL && value_of(said, "service") == NULL) {
        list = getenv(variable);
    }
    return list != NULL && list[0] != 0 ? list : NULL;
}

static unsigned length(const char *list)
{
    unsigned count = list != NULL ? 1 : 0;
    while (list != NULL && (list = strchr(list, ',')) != NULL) {
        list++;
        count++;
    }
    return count;
}

unsigned posix_postgres_host_count(const char *conninfo)
{
    PQconninfoOption *said = PQconninfoParse(conninfo, NULL);
    const unsigned names = length(list_of(said, "host", "PGHOST"));
    const unsigned addresses = length(list_of(said, "hostaddr", "PGHOSTADDR"));
    PQconninfoFree(said);
    const unsigned count = addresses > names ? addresses : names;
    return count > 0 ? count : 1;
}

/* One item; of a list that has only one, it is everybody's. */
static const char *item(const char *list, unsigned number, char text[POSIX_POSTGRES_CONNINFO_MAX])
{
    if (list == NULL) {
        return NULL;
    }
    if (length(list) > 1) {
        while (number-- > 0 && list != NULL) {
            list = strchr(list, ',');
            list = list != NULL ? list + 1 : NULL;
        }
    }
    snprintf(text, POSIX_POSTGRES_CONNINFO_MAX, "%.*s", list != NULL ? (int)strcspn(list, ",") : 0,
             list != NULL ? list : "");
    return text[0] != 0 ? text : NULL;
}

void posix_postgres_host(const char *conninfo, unsigned number, struct posix_postgres_host *host)
{
    PQconninfoOption *said = PQconninfoParse(conninfo, NULL);
    host->host = item(list_of(said, "host", "PGHOST"), number, host->text[0]);
    host->hostaddr = item(list_of(said, "hostaddr", "PGHOSTADDR"), number, host->text[1]);
    host->port = item(list_of(said, "port", "PGPORT"), number, host->text[2]);
    PQconninfoFree(said);
}
