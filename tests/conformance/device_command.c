/* SPDX-License-Identifier: MIT */
/* The client under test as a process: a shell command in a process group of its own. */
#include "port/posix/private.h"
#include "tests/conformance/device.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_PATIENCE_MS 5000  /* between SIGTERM and SIGKILL */
#define KILL_PATIENCE_MS 60000 /* between SIGKILL and going on all the same */

static void path_of(const struct client_bench *b, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", b->directory, name);
}

static void export(const struct client_bench *b)
{
    char state[600], url[400], port[16];
    path_of(b, "state", state, sizeof state);
    snprintf(url, sizeof url, "https://%s:%u", client_options.host, (unsigned)b->port);
    snprintf(port, sizeof port, "%u", (unsigned)b->port);
    (void)setenv("CONFORMANCE_URL", url, 1);
    (void)setenv("CONFORMANCE_HOST", client_options.host, 1);
    (void)setenv("CONFORMANCE_PORT", port, 1);
    (void)setenv("CONFORMANCE_CA", client_options.ca, 1);
    (void)setenv("CONFORMANCE_SCOPE", client_options.scope, 1);
    (void)setenv("CONFORMANCE_ID", client_options.id, 1);
    (void)setenv("CONFORMANCE_HUB", client_options.hub, 1);
    (void)setenv("CONFORMANCE_STATE", state, 1);
}

/* The child's part: never returns. */
static void become(const struct client_bench *b, const char *command)
{
    char log[600];
    path_of(b, "log", log, sizeof log);
    (void)setpgid(0, 0);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int in = open("/dev/null", O_RDONLY);
    if (out >= 0 && in >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) {
        export(b);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    }
    _exit(127);
}

int client_start(struct client_bench *b, const char *command)
{
    /* Orphans of the client become our children, so that we can see all of them end. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid < 0) {
        return BYTES_E_USAGE;
    }
    if (pid == 0) {
        become(b, command);
    }
    (void)setpgid(pid, pid); /* both processes do it: either may come first */
    b->pid = b->group = pid;
    return 0;
}

/* How the command ended. */
static void take_status(struct client_bench *b, pid_t done, int status)
{
    if (done == b->pid && WIFEXITED(status)) {
        /* A shell tells the signal that has ended its command as 128 and the signal. */
        int code = WEXITSTATUS(status);
        b->seen.exit_code = code;
        b->seen.signal = code > 128 && code <= 128 + SIGSYS ? code - 128 : 0;
    } else {
        b->seen.signal = done == b->pid && WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
    }
    if (b->seen.stopped) { /* our own */
        b->seen.signal = 0;
    }
    b->pid = 0;
}

bool client_ended(struct client_bench *b)
{
    int status = 0;
    if (b->pid == 0) {
        return true;
    }
    pid_t done = waitpid(b->pid, &status, WNOHANG);
    if (done == 0 || (done < 0 && errno == EINTR)) {
        return false;
    }
    take_status(b, done, status);
    return true;
}

/* Has all of the client's process group ended? A killed process keeps what it had until it is gone: its TPM,
 * its files. */
static bool group_is_gone(const struct client_bench *b)
{
    while (b->pid == 0 && waitpid(-b->group, NULL, WNOHANG) > 0) {
    }
    return kill(-b->group, 0) != 0 && errno == ESRCH;
}

/* Serve on until the group is gone or the time is over. Returns: it is gone. */
static bool await_group(struct client_bench *b, uint32_t patience_ms)
{
    uint64_t deadline = posix_deadline(patience_ms);
    for (;;) {
        bool ended = client_ended(b);
        if (ended && group_is_gone(b)) {
            return true;
        }
        if (posix_monotonic_ms() > deadline) {
            return false;
        }
        client_serve(b, 5);
    }
}

void client_stop(struct client_bench *b)
{
    if (b->group == 0) {
        return;
    }
    /* A client that has ended by itself has had its time; what it left running has not. */
    bool gone =
        b->pid == 0 ? group_is_gone(b) : kill(-b->group, SIGTERM) == 0 && await_group(b, STOP_PATIENCE_MS);
    if (!gone) {
        (void)kill(-b->group, SIGKILL);
        if (!await_group(b, KILL_PATIENCE_MS)) {
            conformance_note(b->c, "a process of the client is still there %d s after it was killed",
                             KILL_PATIENCE_MS / 1000);
        }
    }
    b->pid = b->group = 0;
}

void client_last_words(struct client_bench *b)
{
    char path[600];
    char text[2048];
    b->seen.said[0] = 0;
    path_of(b, "log", path, sizeof path);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return;
    }
    if (fseek(f, -(long)sizeof text + 1, SEEK_END) != 0) {
        rewind(f);
    }
    size_t len = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        len--;
    }
    text[len] = 0;
    char *line = strrchr(text, '\n');
    line = line == NULL ? text : line + 1;
    snprintf(b->seen.said, sizeof b->seen.said, "%.*s", (int)sizeof b->seen.said - 1, line);
    for (char *at = b->seen.said; *at != 0; at++) {
        if (*at < 0x20 || *at > 0x7e) {
            *at = '?';
        }
    }
}

static void add_file(const char *directory, const char *name, uint8_t digest[CRYPTO_SHA256_SIZE])
{
    static uint8_t content[1 << 20];
    char path[1024];
    size_t len = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (posix_file_read(path, content, sizeof content, &len) != 0) {
        len = 0;
    }
    const struct bytes pieces[] = {bytes_of(digest, CRYPTO_SHA256_SIZE), bytes_of(name, strlen(name) + 1),
                                   bytes_of(content, len)};
    uint8_t next[CRYPTO_SHA256_SIZE];
    crypto_sha256(pieces, 3, next);
    memcpy(digest, next, sizeof next);
}

void client_files(struct client_bench *b, uint8_t digest[CRYPTO_SHA256_SIZE])
{
    char directory[600];
    struct dirent **entries = NULL;
    memset(digest, 0, CRYPTO_SHA256_SIZE);
    path_of(b, "state", directory, sizeof directory);
    int count = scandir(directory, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0) {
            add_file(directory, entries[i]->d_name, digest);
        }
        free(entries[i]);
    }
    free(entries);
}

int client_directory_make(struct client_bench *b, char *why, size_t why_size)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(b->directory, sizeof b->directory, "%s/dps-conformance-XXXXXX",
             temporary != NULL && temporary[0] != 0 ? temporary : "/tmp");
    if (mkdtemp(b->directory) != NULL) {
        char state[600];
        path_of(b, "state", state, sizeof state);
        if (mkdir(state, 0700) == 0) {
            return 0;
        }
    }
    snprintf(why, why_size, "no temporary directory %s: %s", b->directory, strerror(errno));
    b->directory[0] = 0;
    return BYTES_E_FILE;
}

static void remove_all(const char *directory)
{
    struct dirent **entries = NULL;
    char path[1024];
    int count = scandir(directory, &entries, NULL, NULL);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", directory, name);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && unlink(path) != 0 && errno == EISDIR) {
            remove_all(path);
        }
        free(entries[i]);
    }
    free(entries);
    (void)rmdir(directory);
}

void client_directory_remove(struct client_bench *b)
{
    if (b->directory[0] != 0) {
        remove_all(b->directory);
    }
}
