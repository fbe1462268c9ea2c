/* SPDX-License-Identifier: MIT */
#include "tests/port/support.h"
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[96];
static pid_t owner;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_directory(void)
{
    if (getpid() == owner) { /* not in a child that calls exit */
        (void)nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
}

const char *support_path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    if (owner == 0) {
        const char *parent = getenv("TMPDIR");
        const int len = snprintf(directory, sizeof directory, "%s/tpm-dps-test-XXXXXX",
                                 parent != NULL && parent[0] != '\0' ? parent : "/tmp");
        if (len < 0 || (size_t)len >= sizeof directory || mkdtemp(directory) == NULL) {
            perror(directory);
            exit(1);
        }
        owner = getpid();
        (void)atexit(remove_directory);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

int support_listen(uint16_t wanted, uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(wanted), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

uint16_t support_free_port(void)
{
    uint16_t port = 0;
    int fd = support_listen(0, &port);
    (void)close(fd);
    return port;
}

pid_t support_fork(void)
{
    fflush(stdout); /* or the child prints it again */
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return child;
}

static void play(int fd, const struct support_step *step)
{
    uint8_t request[8192];
    if (!step->unasked && recv(fd, request, sizeof request, 0) <= 0) {
        return;
    }
    const uint8_t *answer = step->answer;
    size_t part = step->bytewise ? 1 : step->len;
    for (size_t at = 0; at < step->len; at += part) {
        (void)send(fd, answer + at, part, MSG_NOSIGNAL);
        if (step->bytewise) {
            (void)usleep(500);
        }
    }
}

pid_t support_peer(int listener, const struct support_step *steps, size_t count, bool then_silent)
{
    pid_t child = support_fork();
    if (child != 0) {
        return child;
    }
    int fd = accept(listener, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        play(fd, &steps[i]);
    }
    if (then_silent) {
        (void)pause();
    }
    /* What the other side sent last is read, so that close ends the stream instead of resetting it. */
    (void)shutdown(fd, SHUT_WR);
    uint8_t rest[256];
    while (recv(fd, rest, sizeof rest, 0) > 0) {
    }
    _exit(0);
}

void support_end(pid_t child)
{
    if (child <= 0) {
        return;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}
