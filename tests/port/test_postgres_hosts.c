/* SPDX-License-Identifier: MIT */
/* Connection strings with several hosts, in the forms of libpq's documentation ("Specifying Multiple Hosts"). */
#include "port/posix/store_postgres.h"
#include "tests/unit/test.h"
#include <stdlib.h>

static bool is(const char *got, const char *wanted)
{
    return got == NULL || wanted == NULL ? got == wanted : strcmp(got, wanted) == 0;
}

static bool host_is(const char *conninfo, unsigned number, const char *host, const char *hostaddr,
                    const char *port)
{
    struct posix_postgres_host h;
    posix_postgres_host(conninfo, number, &h);
    return is(h.host, host) && is(h.hostaddr, hostaddr) && is(h.port, port);
}

static int test_lists(void)
{
    const char *two = "host=db1,db2 port=5433,5434 user=service";
    CHECK_EQUAL(posix_postgres_host_count(two), 2);
    CHECK(host_is(two, 0, "db1", NULL, "5433") && host_is(two, 1, "db2", NULL, "5434"));
    const char *url = "postgresql://service@db1,db2:5434,[2001:db8::1]/dps?target_session_attrs=read-write";
    CHECK_EQUAL(posix_postgres_host_count(url), 3);
    CHECK(host_is(url, 1, "db2", NULL, "5434") && host_is(url, 2, "2001:db8::1", NULL, NULL));
    return 0;
}

static int test_one_for_all(void)
{
    const char *port = "host=db1,db2,db3 port=6000";
    CHECK(host_is(port, 0, "db1", NULL, "6000") && host_is(port, 2, "db3", NULL, "6000"));
    const char *addresses = "hostaddr=192.0.2.1,192.0.2.2";
    CHECK_EQUAL(posix_postgres_host_count(addresses), 2);
    CHECK(host_is(addresses, 1, NULL, "192.0.2.2", NULL));
    return 0;
}

/* A place of a list may be empty: then the default counts. */
static int test_holes(void)
{
    const char *holes = "host=,db2 port=,5434";
    CHECK_EQUAL(posix_postgres_host_count(holes), 2);
    CHECK(host_is(holes, 0, NULL, NULL, NULL) && host_is(holes, 1, "db2", NULL, "5434"));
    return 0;
}

static int test_environment(void)
{
    CHECK_EQUAL(setenv("PGHOST", "db1,db2", 1), 0);
    CHECK_EQUAL(posix_postgres_host_count("user=service"), 2);
    CHECK(host_is("user=service", 1, "db2", NULL, NULL));
    CHECK_EQUAL(posix_postgres_host_count("host=/run/postgresql"), 1);
    CHECK_EQUAL(unsetenv("PGHOST"), 0);
    return 0;
}

static int test_none(void)
{
    CHECK_EQUAL(posix_postgres_host_count(""), 1);
    CHECK(host_is("", 0, NULL, NULL, NULL));
    CHECK_EQUAL(posix_postgres_host_count("this is none ="), 1);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"lists, as words and as an address", test_lists},
                                        {"one port, or only addresses", test_one_for_all},
                                        {"empty places", test_holes},
                                        {"the environment's", test_environment},
                                        {"none, or nonsense", test_none}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
