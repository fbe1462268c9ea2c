/* SPDX-License-Identifier: MIT */
#include "port/posix/private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY_EVERY_MS 100

/* The file itself cannot be locked: it is replaced by another one while the lock is held. */
static int lock_name(const char *path, char name[PATH_MAX])
{
    const int len = snprintf(name, PATH_MAX, "%s.lock", path);
    if (len < 0 || len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return BYTES_E_FILE;
    }
    return 0;
}

/* Whoever held it before may have removed the file since it was opened here: then this lock guards nothing. */
static bool is_named(int fd, const char *name)
{
    struct stat held;
    struct stat named;
    return fstat(fd, &held) == 0 && lstat(name, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* *fd is the opened file, or negative. Returns: 0; BYTES_E_CONFLICT, and the file stays open; BYTES_E_FILE. */
static int try_lock(const char *name, int *fd)
{
    if (*fd < 0) {
        *fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (*fd < 0) {
        return BYTES_E_FILE;
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK || errno == EINTR ? BYTES_E_CONFLICT : BYTES_E_FILE;
    }
    if (is_named(*fd, name)) {
        return 0;
    }
    (void)close(*fd);
    *fd = -1;
    return BYTES_E_CONFLICT;
}

int posix_lock(const char *path, uint32_t wait_ms, int *fd)
{
    char name[PATH_MAX];
    const struct port_clock clock = posix_clock();
    const uint64_t deadline = posix_deadline(wait_ms);
    *fd = -1;
    int error = lock_name(path, name);
    while (error == 0) {
        error = try_lock(name, fd);
        if (error == 0) {
            return 0;
        }
        if (error == BYTES_E_CONFLICT && posix_monotonic_ms() < deadline) {
            error = clock.sleep_ms(clock.context, TRY_EVERY_MS);
        }
    }
    const int cause = errno;
    if (*fd >= 0) {
        (void)close(*fd);
    }
    errno = cause;
    return error;
}

void posix_unlock(const char *path, int fd)
{
    char name[PATH_MAX];
    if (lock_name(path, name) == 0) {
        (void)unlink(name);
    }
    (void)close(fd);
}
