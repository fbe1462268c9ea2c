/* SPDX-License-Identifier: MIT */
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned entries(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;
    while (d != NULL && readdir(d) != NULL) {
        n++;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return n - 2; /* . and .. */
}

static bool holds(const char *path, const char *text)
{
    uint8_t content[64];
    size_t len;
    return posix_file_read(path, content, sizeof content, &len) == 0 &&
           bytes_equal_public(bytes_of(content, len), bytes_of_text(text));
}

static int replace_is_atomic(void)
{
    const char *directory = support_path("replace");
    const char *path = support_path("replace/state");
    CHECK_EQUAL(mkdir(directory, 0700), 0);
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("old"), 0600), 0);
    int old = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(old >= 0);
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("newer"), 0600), 0);
    CHECK(holds(path, "newer"));
    /* A process that has the old file open still reads the old content: it was replaced, not overwritten. */
    char content[8];
    CHECK(read(old, content, sizeof content) == 3 && memcmp(content, "old", 3) == 0);
    (void)close(old);
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK_EQUAL(entries(directory), 1);
    CHECK_EQUAL(posix_file_replace(path, bytes_of(NULL, 0), 0644), 0);
    CHECK(holds(path, ""));
    return 0;
}

/* A directory where the file should go: rename fails after the new file was written. Nothing is left. */
static int failed_replace_leaves_nothing(void)
{
    const char *directory = support_path("failed");
    CHECK_EQUAL(mkdir(directory, 0700), 0);
    CHECK_EQUAL(mkdir(support_path("failed/target"), 0700), 0);
    CHECK_EQUAL(posix_file_replace(support_path("failed/target"), bytes_of_text("x"), 0600), BYTES_E_FILE);
    CHECK_EQUAL(errno, EISDIR);
    CHECK_EQUAL(entries(directory), 1);
    CHECK_EQUAL(posix_file_replace(support_path("nowhere/file"), bytes_of_text("x"), 0600), BYTES_E_FILE);
    CHECK_EQUAL(errno, ENOENT);
    return 0;
}

static int read_reports(void)
{
    uint8_t content[4];
    size_t len = 9;
    CHECK(posix_file_read(support_path("missing"), content, sizeof content, &len) == BYTES_E_NOT_FOUND &&
          len == 0);
    CHECK_EQUAL(posix_file_replace(support_path("four"), bytes_of_text("1234"), 0600), 0);
    CHECK(posix_file_read(support_path("four"), content, sizeof content, &len) == 0 && len == 4);
    CHECK_EQUAL(posix_file_replace(support_path("five"), bytes_of_text("12345"), 0600), 0);
    CHECK(posix_file_read(support_path("five"), content, sizeof content, &len) == BYTES_E_SPACE && len == 0);
    CHECK(posix_file_read(support_path("."), content, sizeof content, &len) == BYTES_E_FILE &&
          errno == EISDIR);
    return 0;
}

static int secret_trims_one_line_end(void)
{
    static const struct {
        const char *content, *secret;
    } cases[] = {
        {"key", "key"}, {"key\n", "key"}, {"key\r\n", "key"}, {"key\n\n", "key\n"}, {" key ", " key "},
        {"\n", ""},     {"", ""}};
    const char *path = support_path("secret");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t secret[16];
        char why[256];
        size_t len;
        CHECK_EQUAL(posix_file_replace(path, bytes_of_text(cases[i].content), 0600), 0);
        CHECK_EQUAL(posix_secret_read(path, secret, sizeof secret, &len, why, sizeof why), 0);
        CHECK(bytes_equal_public(bytes_of(secret, len), bytes_of_text(cases[i].secret)));
    }
    return 0;
}

static int secret_refuses_what_others_can_read(void)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0644, 0666};
    const char *path = support_path("open-secret");
    uint8_t secret[16];
    char why[256];
    size_t len;
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("key"), 0600), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_EQUAL(chmod(path, modes[i]), 0);
        why[0] = 0;
        CHECK(posix_secret_read(path, secret, sizeof secret, &len, why, sizeof why) == BYTES_E_FILE &&
              len == 0);
        CHECK(strstr(why, "chmod 600") != NULL);
    }
    CHECK_EQUAL(chmod(path, 0400), 0);
    CHECK(posix_secret_read(path, secret, sizeof secret, &len, why, sizeof why) == 0 && len == 3);
    return 0;
}

/* What was there is gone, and so is the right of others to read it; a device keeps its mode. */
static int created_is_private(void)
{
    const char *path = support_path("private");
    struct stat st;
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("what was there"), 0666), 0);
    const int fd = posix_file_create_private(path);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    CHECK_EQUAL(st.st_mode & 0777, 0600);
    CHECK_EQUAL(st.st_size, 0);
    CHECK_EQUAL(close(fd), 0);
    CHECK(stat("/dev/null", &st) == 0);
    const mode_t mode = st.st_mode;
    const int null = posix_file_create_private("/dev/null");
    CHECK(null >= 0 && fstat(null, &st) == 0);
    CHECK_EQUAL(st.st_mode, mode);
    CHECK_EQUAL(close(null), 0);
    CHECK_EQUAL(posix_file_create_private(support_path("no-such/file")), -1);
    CHECK_EQUAL(errno, ENOENT);
    return 0;
}

/* Who had it open, or has it under another name, keeps what was there, and reads nothing of what is written now. */
static int created_is_new(void)
{
    const char *path = support_path("private-new");
    struct stat before, st;
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("what was there"), 0644), 0);
    const int open_before = open(path, O_RDONLY);
    CHECK(open_before >= 0 && fstat(open_before, &before) == 0);
    const int fd = posix_file_create_private(path);
    CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && close(fd) == 0);
    CHECK(fstat(open_before, &st) == 0 && st.st_size == before.st_size && stat(path, &st) == 0);
    CHECK(st.st_ino != before.st_ino && st.st_size == 6);
    CHECK_EQUAL(close(open_before), 0);
    CHECK(unlink(path) == 0 && symlink("elsewhere", path) == 0);
    CHECK_EQUAL(posix_file_create_private(path), -1);
    CHECK_EQUAL(errno, ELOOP);
    return 0;
}

/* As another user: only root can try it. */
static int created_in_anothers_place(void)
{
    const char *path = support_path("private-owned"), *pipe_path = support_path("private-pipe");
    struct stat st;
    if (geteuid() != 0) {
        printf("# who is not root cannot make files of others\n");
        return 0;
    }
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text(""), 0600), 0);
    CHECK(chown(path, 65533, 0) == 0);
    const int fd = posix_file_create_private(path);
    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && close(fd) == 0);
    CHECK(mkfifo(pipe_path, 0600) == 0 && chown(pipe_path, 65533, 0) == 0);
    const int reader = open(pipe_path, O_RDONLY | O_NONBLOCK);
    CHECK(reader >= 0);
    CHECK_EQUAL(posix_file_create_private(pipe_path), -1);
    CHECK_EQUAL(errno, EPERM);
    CHECK_EQUAL(close(reader), 0);
    return 0;
}

/* As another user: only root can try it. */
static int secret_of_another_owner(void)
{
    enum { ME = 65534, OTHER = 65533 };
    static const struct {
        uid_t owner;
        mode_t mode;
        int result;
        const char *why;
    } cases[] = {{ME, 0600, 0, ""},
                 {ME, 0640, BYTES_E_FILE, "chmod 600"},
                 {OTHER, 0640, BYTES_E_FILE, "belongs to another user (uid 65533)"},
                 {0, 0640, 0, ""},
                 {0, 0660, BYTES_E_FILE, "chmod 600"},
                 {0, 0644, BYTES_E_FILE, "chmod 600"}};
    const char *path = support_path("owned");
    if (geteuid() != 0) {
        printf("# who is not root cannot make files of others\n");
        return 0;
    }
    CHECK_EQUAL(posix_file_replace(path, bytes_of_text("key"), 0600), 0);
    CHECK_EQUAL(chmod(support_path("."), 0755), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t secret[16];
        char why[256] = "";
        size_t len;
        CHECK(chown(path, cases[i].owner, ME) == 0 && chmod(path, cases[i].mode) == 0);
        CHECK(setegid(ME) == 0 && seteuid(ME) == 0);
        const int result = posix_secret_read(path, secret, sizeof secret, &len, why, sizeof why);
        CHECK(seteuid(0) == 0 && setegid(0) == 0);
        CHECK(result == cases[i].result && strstr(why, cases[i].why) != NULL);
        CHECK(len == (result == 0 ? 3 : 0));
    }
    CHECK(chown(path, OTHER, OTHER) == 0 && chmod(path, 0600) == 0);
    uint8_t secret[16];
    char why[256] = "";
    size_t len;
    CHECK_EQUAL(posix_secret_read(path, secret, sizeof secret, &len, why, sizeof why), BYTES_E_FILE);
    CHECK(strstr(why, "chown it to uid 0") != NULL);
    return 0;
}

static int memory_is_private(void)
{
    struct rlimit limit;
    posix_keep_memory_private();
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
    CHECK_EQUAL(prctl(PR_GET_DUMPABLE), 0);
    return 0;
}

static int secret_reports(void)
{
    uint8_t secret[4] = {1, 1, 1, 1};
    const uint8_t zeros[4] = {0};
    char why[256];
    size_t len;
    CHECK_EQUAL(posix_secret_read(support_path("none"), secret, 4, &len, why, sizeof why), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(posix_file_replace(support_path("long"), bytes_of_text("12345"), 0600), 0);
    why[0] = 0;
    CHECK(posix_secret_read(support_path("long"), secret, 4, &len, why, sizeof why) == BYTES_E_SPACE &&
          len == 0);
    CHECK(why[0] != 0);
    /* What was read of it before it turned out to be too long is not left in the caller's buffer. */
    CHECK(memcmp(secret, zeros, sizeof secret) == 0);
    return 0;
}

static int storage_keeps_one_record(void)
{
    struct posix_storage s = {support_path("record")};
    struct port_storage port = posix_storage_port(&s);
    uint8_t record[8];
    size_t len;
    CHECK_EQUAL(port.load(port.context, record, sizeof record, &len), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(port.save(port.context, bytes_of_text("one")), 0);
    CHECK_EQUAL(port.save(port.context, bytes_of_text("three")), 0);
    CHECK_EQUAL(port.load(port.context, record, sizeof record, &len), 0);
    CHECK(bytes_equal_public(bytes_of(record, len), bytes_of_text("three")));
    CHECK_EQUAL(port.load(port.context, record, 4, &len), BYTES_E_SPACE);
    struct stat st;
    CHECK(stat(s.path, &st) == 0 && (st.st_mode & 07777) == 0600);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"file: replace is atomic and leaves one file", replace_is_atomic},
        {"file: a failed replace leaves nothing behind", failed_replace_leaves_nothing},
        {"file: missing, too large, not a file", read_reports},
        {"secret: one line end is not part of it", secret_trims_one_line_end},
        {"secret: refused if others can access it", secret_refuses_what_others_can_read},
        {"secret: of this user, or of root and readable for a group", secret_of_another_owner},
        {"secret: missing and too long", secret_reports},
        {"a file for secrets is nobody else's, also if it was", created_is_private},
        {"a private file is a new one", created_is_new},
        {"a private file is nobody else's", created_in_anothers_place},
        {"storage: save replaces, load finds", storage_keeps_one_record},
        {"memory: no core dump", memory_is_private},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
