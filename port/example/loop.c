/* SPDX-License-Identifier: MIT */
#include "port/example/loop.h"
#include "dps/device/engine.h"
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

struct job {
    struct example *example;
    struct example_turn *turn;
    pthread_t worker;
    bool working; /* the worker has the turn */
    int done[2];  /* a pipe: the worker writes, the loop reads */
};

static void *work(void *context)
{
    const struct job *job = context;
    example_work(job->turn);
    /* One byte fits into an empty pipe. */
    (void)!write(job->done[1], "", 1);
    return NULL;
}

static void wait_for_worker(struct job *job)
{
    char byte;
    struct pollfd wanted = {.fd = job->done[0], .events = POLLIN};
    /* Other descriptors, other timers: here. */
    if (poll(&wanted, 1, -1) > 0 && read(job->done[0], &byte, 1) == 1) {
        (void)pthread_join(job->worker, NULL);
        job->working = false;
    }
}

static void wait_for_turn(struct job *job, enum example_next next)
{
    struct pollfd wanted = {.fd = next == EXAMPLE_LATER ? -1 : job->example->stream,
                            .events = next == EXAMPLE_WRITABLE ? POLLOUT : POLLIN};
    /* And here. */
    if (poll(&wanted, 1, (int)job->turn->wait_ms) < 0) {
        dps_device_fail(job->turn->device, BYTES_E_TIMEOUT);
    }
}

static int run(struct job *job)
{
    for (;;) {
        const enum example_next next = example_turn(job->turn);
        if (next == EXAMPLE_ENDED) {
            return job->turn->device->error;
        }
        if (next != EXAMPLE_WORK) {
            wait_for_turn(job, next);
            continue;
        }
        if (pthread_create(&job->worker, NULL, work, job) != 0) {
            return BYTES_E_USAGE;
        }
        job->working = true;
        while (job->working) {
            wait_for_worker(job);
        }
    }
}

int example_loop(struct example *e, struct example_turn *t)
{
    struct job job = {.example = e, .turn = t};
    if (pipe(job.done) != 0) {
        return BYTES_E_USAGE;
    }
    const int error = run(&job);
    (void)close(job.done[0]);
    (void)close(job.done[1]);
    return error;
}
