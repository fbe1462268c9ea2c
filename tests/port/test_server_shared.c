/* SPDX-License-Identifier: MIT */
/* The memory that the processes of a node share: its lock survives a process that dies with it. */
#include "port/posix/service/server.h"
#include "tests/unit/test.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that is killed in the middle of a change. */
static bool die_with_the_lock(struct server_shared *shared)
{
    const struct crypto_lock lock = server_shared_lock(shared);
    int status;
    const pid_t child = fork();
    if (child == 0) {
        lock.take(lock.context);
        memset(&shared->memory, 0xa5, sizeof shared->memory);
        _exit(7);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

static int a_holder_dies(void)
{
    struct server_shared *shared = server_shared_open(2);
    CHECK(shared != NULL);
    const struct crypto_lock lock = server_shared_lock(shared);
    shared->files.policies = 3;
    for (int i = 0; i < 3; i++) {
        CHECK(die_with_the_lock(shared));
        lock.take(lock.context);
        CHECK(test_is_zero(&shared->memory, sizeof shared->memory));
        lock.leave(lock.context);
    }
    CHECK(shared->files.policies == 3 && shared->workers == 2);
    server_shared_close(shared);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"the holder of the lock dies: what it guards is reset, and nobody waits", a_holder_dies},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
