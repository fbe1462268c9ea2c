/* SPDX-License-Identifier: MIT */
/* Several event loops, each in a process of its own, and one process that does nothing but watch them. */
#include "port/posix/options.h"
#include "port/posix/private.h"
#include "port/posix/service/log.h"
#include "port/posix/service/server.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A process that keeps ending at once is not restarted at once. */
#define RESTART_MIN_MS 100
#define RESTART_MAX_MS 5000
#define RESTART_CALM_MS 10000 /* one that has lived this long was healthy */
#define LOOK_MS 100

struct worker {
    pid_t pid; /* 0: none */
    uint64_t begun_ms, again_ms;
    uint32_t pause_ms;
};

struct watch {
    struct server_shared *shared;
    size_t count;
    const struct server_work *work;
    struct worker workers[SERVER_WORKERS_MAX];
    sigset_t signals; /* blocked here, and in the workers, who read them from a descriptor */
    bool ready, ending;
    int result;
};

void server_worker_ready(struct server_shared *shared, size_t worker)
{
    shared->counters[worker].ready = true;
}

/* A process whose watcher was killed must not go on alone: nothing would stop it any more. */
static void run_worker(struct watch *w, size_t i, pid_t watcher)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != watcher) {
        _exit(POSIX_EXIT_OK);
    }
    exit(w->work->serve(w->work->context, i));
}

static void begin(struct watch *w, size_t i)
{
    struct worker *worker = &w->workers[i];
    const pid_t watcher = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        run_worker(w, i, watcher);
    }
    worker->pid = pid > 0 ? pid : 0;
    worker->begun_ms = posix_monotonic_ms();
    worker->again_ms = worker->begun_ms + RESTART_MAX_MS; /* if there was no process to be had */
}

static void tell_all(const struct watch *w, int signal_number)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->workers[i].pid > 0) {
            (void)kill(w->workers[i].pid, signal_number);
        }
    }
}

/* Its share of the shared counters stays: they only grow. Its gauges, such as open connections, are reset. */
static void ended(struct watch *w, size_t i, int status)
{
    struct worker *worker = &w->workers[i];
    struct server_counters *counters = &w->shared->counters[i];
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : POSIX_EXIT_STORE;
    const uint64_t now = posix_monotonic_ms();
    worker->pid = 0;
    counters->ready = false;
    counters->connections = 0;
    if (w->ending || (!w->ready && code != 0)) {
        w->result = w->result != 0 ? w->result : code;
        if (!w->ending) {
            tell_all(w, SIGTERM);
        }
        w->ending = true;
        return;
    }
    worker->pause_ms = now - worker->begun_ms > RESTART_CALM_MS || worker->pause_ms == 0 ? RESTART_MIN_MS
                       : worker->pause_ms * 2 < RESTART_MAX_MS ? worker->pause_ms * 2
                                                               : RESTART_MAX_MS;
    worker->again_ms = now + worker->pause_ms;
    w->shared->restarts++;
    char what[80];
    snprintf(what, sizeof what,
             WIFSIGNALED(status) ? "worker %zu was killed by signal %d; it is restarted"
                                 : "worker %zu ended with %d; it is restarted",
             i, WIFSIGNALED(status) ? WTERMSIG(status) : code);
    server_log_sentence(w->work->log, "error", what);
}

static void look_after_workers(struct watch *w)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < w->count; i++) {
            if (w->workers[i].pid == pid) {
                ended(w, i, status);
            }
        }
    }
    for (size_t i = 0; i < w->count && !w->ending; i++) {
        if (w->workers[i].pid == 0 && posix_monotonic_ms() >= w->workers[i].again_ms) {
            begin(w, i);
        }
    }
}

static bool any_left(const struct watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->workers[i].pid > 0) {
            return true;
        }
    }
    return false;
}

static bool all_ready(const struct watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!w->shared->counters[i].ready) {
            return false;
        }
    }
    return true;
}

static void take_signal(struct watch *w)
{
    const struct timespec patience = {.tv_nsec = LOOK_MS * 1000000L / (w->ready ? 1 : 10)};
    const int number = sigtimedwait(&w->signals, NULL, &patience);
    if (number != SIGHUP && number != SIGTERM && number != SIGINT) {
        return;
    }
    if (number == SIGHUP) {
        w->work->reload(w->work->context);
    } else if (!w->ending) {
        w->ending = true;
        w->work->ending(w->work->context);
    }
    tell_all(w, number);
}

static void end_if(struct watch *w, int code)
{
    if (code == 0) {
        return;
    }
    w->result = code;
    w->ending = true;
    tell_all(w, SIGTERM);
}

int server_workers_run(struct server_shared *shared, size_t count, const struct server_work *work)
{
    struct watch w = {.shared = shared, .count = count, .work = work};
    sigemptyset(&w.signals);
    sigaddset(&w.signals, SIGTERM);
    sigaddset(&w.signals, SIGINT);
    sigaddset(&w.signals, SIGHUP);
    sigaddset(&w.signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &w.signals, NULL);
    for (size_t i = 0; i < count; i++) {
        begin(&w, i);
    }
    while (!w.ending || any_left(&w)) {
        if (!w.ready && !w.ending && all_ready(&w)) {
            w.ready = true;
            end_if(&w, work->ready(work->context));
        }
        take_signal(&w);
        look_after_workers(&w);
    }
    return w.result;
}
