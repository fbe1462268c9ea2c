/* SPDX-License-Identifier: MIT */
#include "port/posix/private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* close, so that errno still tells what went wrong before. */
static void close_quietly(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

int posix_read_all(int fd, uint8_t *out, size_t capacity, size_t *len)
{
    size_t got = 0;
    *len = 0;
    for (;;) {
        uint8_t beyond;
        bool full = got == capacity;
        ssize_t n = full ? read(fd, &beyond, 1) : read(fd, out + got, capacity - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return BYTES_E_FILE;
        }
        if (n == 0) {
            break;
        }
        if (full) {
            return BYTES_E_SPACE;
        }
        got += (size_t)n;
    }
    *len = got;
    return 0;
}

static int open_to_read(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd >= 0) {
        return 0;
    }
    return errno == ENOENT ? BYTES_E_NOT_FOUND : BYTES_E_FILE;
}

int posix_file_read(const char *path, uint8_t *out, size_t capacity, size_t *len)
{
    *len = 0;
    int fd;
    int error = open_to_read(path, &fd);
    if (error != 0) {
        return error;
    }
    error = posix_read_all(fd, out, capacity, len);
    close_quietly(fd);
    return error;
}

static int write_all(int fd, struct bytes content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.p, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return BYTES_E_FILE;
        }
        content.p += n;
        content.len -= (size_t)n;
    }
    return 0;
}

/* A new file beside the one to be replaced. Its name is random, not merely ".new", so that two writers of one file
 * never write into, or rename, each other's unfinished file. */
static int create_beside(int directory, const char *name, unsigned mode, char beside[NAME_MAX + 1])
{
    unsigned random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        return -1;
    }
    int n = snprintf(beside, NAME_MAX + 1, "%s.%08x.new", name, random);
    if (n < 0 || n > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
}

/* The content must be on the disk before the name points to it, and the name before the caller is told: otherwise a
 * power cut leaves an empty file, or the old one after success was reported. */
int posix_file_replace_at(int directory, const char *name, struct bytes content, unsigned mode)
{
    char beside[NAME_MAX + 1];
    int fd = create_beside(directory, name, mode, beside);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    int error = write_all(fd, content);
    if (error == 0 && fsync(fd) != 0) {
        error = BYTES_E_FILE;
    }
    if (error != 0) {
        close_quietly(fd);
    } else if (close(fd) != 0) {
        error = BYTES_E_FILE;
    }
    if (error == 0 && renameat(directory, beside, directory, name) != 0) {
        error = BYTES_E_FILE;
    }
    if (error != 0) {
        int saved = errno;
        (void)unlinkat(directory, beside, 0);
        errno = saved;
        return error;
    }
    return fsync(directory) == 0 ? 0 : BYTES_E_FILE;
}

/* The directory that holds path; *name is what follows it there. */
static int open_directory_of(const char *path, const char **name)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (len >= sizeof directory) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(directory, path, len);
    directory[len] = 0;
    *name = path + len;
    return open(len == 0 ? "." : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int posix_file_replace(const char *path, struct bytes content, unsigned mode)
{
    const char *name;
    int fd = open_directory_of(path, &name);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    int error = posix_file_replace_at(fd, name, content, mode);
    close_quietly(fd);
    return error;
}

/* Only an actual attempt reveals quotas, read-only mounts, immutable directories and names that are too long. */
static int try_replace_at(int directory, const char *name)
{
    char beside[NAME_MAX + 1];
    struct stat st = {0};
    if (name[0] == 0 || (fstatat(directory, name, &st, 0) == 0 && !S_ISREG(st.st_mode))) {
        errno = name[0] == 0 || S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP;
        return BYTES_E_FILE;
    }
    int fd = create_beside(directory, name, 0600, beside);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    (void)close(fd);
    return unlinkat(directory, beside, 0) == 0 ? 0 : BYTES_E_FILE;
}

/* What was there under this name may be somebody else's, or open elsewhere since a time when others could read it: so
 * the file is a new one. A pipe of another user would give him all of it. */
int posix_file_create_private(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && unlink(path) != 0) {
        return -1;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EEXIST) {
        return fd;
    }
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && (st.st_uid == geteuid() || st.st_uid == 0)) {
        return fd;
    }
    close_quietly(fd);
    errno = EPERM;
    return -1;
}

int posix_file_replaceable(const char *path)
{
    const char *name;
    int fd = open_directory_of(path, &name);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    int error = try_replace_at(fd, name);
    close_quietly(fd);
    return error;
}

/* A secret comes from a file or a pipe. For anything else, the chmod that the next check might advise would do harm. */
static int look_at_secret(int fd, struct stat *st)
{
    if (fstat(fd, st) != 0) {
        return BYTES_E_FILE;
    }
    if (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode)) {
        return 0;
    }
    errno = S_ISDIR(st->st_mode) ? EISDIR : ENOTSUP;
    return BYTES_E_FILE;
}

/* On the open file, not on its name: nobody can exchange it between the look and the reading. Whoever owns a file can
 * change it and its mode, so the owner must be this user or root. Root may let a group read what it owns: that is how
 * a service gets a key that it cannot change. */
static bool others_can_access(int fd, const char *path, char *why, size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    struct stat st;
    if (look_at_secret(fd, &st) != 0) {
        snprintf(why, why_size, "%s: %s", path, posix_file_error(errno, reason, sizeof reason));
        return true;
    }
    const bool own = st.st_uid == geteuid();
    const mode_t open_to = st.st_mode & (own ? 077 : 037);
    if ((own || st.st_uid == 0) && open_to == 0) {
        return false;
    }
    if (own || st.st_uid == 0) {
        snprintf(why, why_size, "%s holds a secret, but others may access it (mode %04o): chmod 600 %s", path,
                 (unsigned)st.st_mode & 07777U, path);
    } else {
        snprintf(why, why_size,
                 "%s holds a secret, but belongs to another user (uid %lu), who can change it: chown it to "
                 "uid %lu",
                 path, (unsigned long)st.st_uid, (unsigned long)geteuid());
    }
    errno = EPERM;
    return true;
}

int posix_secret_read_whole(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                            size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    *len = 0;
    int fd;
    int error = open_to_read(path, &fd);
    if (error != 0) {
        snprintf(why, why_size, "%s: %s", path, posix_file_error(errno, reason, sizeof reason));
        return error;
    }
    if (others_can_access(fd, path, why, why_size)) {
        close_quietly(fd);
        return BYTES_E_FILE;
    }
    error = posix_read_all(fd, out, capacity, len);
    if (error == BYTES_E_SPACE) {
        snprintf(why, why_size, "%s is longer than the %zu bytes that are allowed here", path, capacity);
    } else if (error != 0) {
        snprintf(why, why_size, "%s: %s", path, posix_file_error(errno, reason, sizeof reason));
    }
    close_quietly(fd);
    if (error != 0) {
        bytes_wipe(out, capacity);
    }
    return error;
}

int posix_secret_read(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                      size_t why_size)
{
    const int error = posix_secret_read_whole(path, out, capacity, len, why, why_size);
    if (error != 0) {
        return error;
    }
    if (*len > 0 && out[*len - 1] == '\n') {
        (*len)--;
    }
    if (*len > 0 && out[*len - 1] == '\r') {
        (*len)--;
    }
    return 0;
}

static int storage_load(void *context, uint8_t *record, size_t capacity, size_t *len)
{
    const struct posix_storage *s = context;
    return posix_file_read(s->path, record, capacity, len);
}

static int storage_save(void *context, struct bytes record)
{
    const struct posix_storage *s = context;
    return posix_file_replace(s->path, record, 0600);
}

struct port_storage posix_storage_port(struct posix_storage *s)
{
    return (struct port_storage){s, storage_load, storage_save};
}
