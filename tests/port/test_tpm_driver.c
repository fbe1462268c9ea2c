/* SPDX-License-Identifier: MIT */
/* A TPM behind a driver of the kernel, which can refuse a command and go on. The kernel is played here: the device is
 * a pseudo-terminal, and this program's own read and write fail as those of /dev/tpmrm0 do. The real one:
 * tests/kernel. */
#include "port/posix/private.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RANDOM                                                                                               \
    "\x80\x01\0\0\0\x14\0\0\0\0\0\x08"                                                                       \
    "12345678"

static int read_fails, write_fails; /* with this errno, once; 0: it works */

/* The kernel keeps an error for the read that fetches the response. */
ssize_t read(int fd, void *buffer, size_t len)
{
    const ssize_t n = syscall(SYS_read, fd, buffer, len);
    if (n > 0 && read_fails != 0 && isatty(fd)) {
        errno = read_fails;
        read_fails = 0;
        return -1;
    }
    return n;
}

ssize_t write(int fd, const void *buffer, size_t len)
{
    if (write_fails != 0 && isatty(fd)) {
        errno = write_fails;
        write_fails = 0;
        return -1;
    }
    return syscall(SYS_write, fd, buffer, len);
}

/* A driver that answers each command alike. */
static pid_t start_driver(char *path, size_t path_size)
{
    int slave;
    const int master = tpm_call_terminal(path, path_size, &slave);
    const pid_t child = master >= 0 ? support_fork() : -1;
    if (child == 0) {
        uint8_t command[256];
        while (read(master, command, sizeof command) > 0) {
            (void)!write(master, RANDOM, sizeof RANDOM - 1);
        }
        _exit(0);
    }
    (void)close(master);
    return child;
}

static const struct failure {
    int cause;
    int result;
} failures[] = {
    {EINVAL, BYTES_E_TPM_DRIVER},    {ENOMEM, BYTES_E_TPM_DRIVER},   {E2BIG, BYTES_E_TPM_DRIVER},
    {EFAULT, BYTES_E_TPM_DRIVER},    {EIO, BYTES_E_TPM_TRANSPORT},   {EPIPE, BYTES_E_TPM_TRANSPORT},
    {ENODEV, BYTES_E_TPM_TRANSPORT}, {ETIME, BYTES_E_TPM_TRANSPORT}, {EBUSY, BYTES_E_TPM_TRANSPORT},
};

/* Whoever closes the descriptor of /dev/tpmrm0 loses all that is loaded there. */
static int refusals_keep_the_descriptor(void)
{
    for (size_t i = 0; i < 2 * (sizeof failures / sizeof failures[0]); i++) {
        const struct failure *f = &failures[i / 2];
        char path[64];
        struct posix_tpm t;
        const pid_t driver = start_driver(path, sizeof path);
        CHECK(driver > 0);
        CHECK_EQUAL(tpm_call_open(&t, path), 0);
        CHECK_EQUAL(tpm_call_random(&t), 0);
        const int fd = t.fd;
        *(i % 2 == 0 ? &read_fails : &write_fails) = f->cause;
        CHECK_EQUAL(tpm_call_random(&t), f->result);
        const bool kept = f->result == BYTES_E_TPM_DRIVER;
        CHECK_EQUAL(t.fd, kept ? fd : -1);
        CHECK(!kept || t.driver_cause == f->cause);
        CHECK_EQUAL(tpm_call_random(&t), 0); /* on the same descriptor, or on a new one */
        posix_tpm_close(&t);
        support_end(driver);
    }
    return 0;
}

/* A device that refuses the question whether it is a TPM is none. */
static int refused_at_open(void)
{
    char path[64];
    struct posix_tpm t;
    const pid_t driver = start_driver(path, sizeof path);
    CHECK(driver > 0);
    read_fails = EINVAL;
    CHECK_EQUAL(tpm_call_open(&t, path), BYTES_E_TPM_DRIVER);
    CHECK(strstr(tpm_call_why, "does not answer as a TPM does") != NULL && t.fd == -1);
    support_end(driver);
    return 0;
}

static bool explained(const char *path, int cause, const char *words)
{
    struct posix_tpm t = {.kind = POSIX_TPM_DEVICE, .fd = -1, .cause = cause};
    char why[1024];
    snprintf(t.address, sizeof t.address, "%s", path);
    posix_tpm_explain(&t, path, BYTES_E_TPM_TRANSPORT, 0, why, sizeof why);
    if (strstr(why, words) == NULL) {
        printf("# %s\n", why);
    }
    return strstr(why, words) != NULL;
}

/* Who may do what is this very device's; what another one is called says nothing of it. */
static int why_it_does_not_open(void)
{
    char path[64], words[200];
    int slave;
    struct stat st;
    const int master = tpm_call_terminal(path, sizeof path, &slave);
    CHECK(master >= 0 && stat(path, &st) == 0);
    snprintf(words, sizeof words, "end the program that has it open (`fuser -v %s` shows it)", path);
    CHECK(explained(path, EBUSY, words));
    CHECK(chmod(path, 0600) == 0 && explained(path, EACCES, "run this as root, or let a group"));
    CHECK_EQUAL(chmod(path, 0660), 0);
    const struct group *group = st.st_gid != 0 ? getgrgid(st.st_gid) : NULL;
    snprintf(words, sizeof words, "its group is %s: `usermod -aG %s USER`",
             group != NULL ? group->gr_name : "", group != NULL ? group->gr_name : "");
    CHECK(explained(path, EACCES, group != NULL ? words : "run this as root, or let a group"));
    CHECK(explained("/dev/tpm-that-is-not-there", EACCES, "`ls -l` shows its group"));
    (void)close(master);
    (void)close(slave);
    return 0;
}

static int two_devices_for_one_tpm(void)
{
    static const char *const names[][2] = {{"/dev/tpm0", "/dev/tpmrm0"},
                                           {"/dev/tpmrm0", "/dev/tpm0"},
                                           {"/dev/tpm12", "/dev/tpmrm12"},
                                           {"/dev/tpm", ""},
                                           {"/dev/tpmrm", ""},
                                           {"/dev/tpm-x", ""},
                                           {"/dev/null", ""}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char other[64] = "";
        CHECK_EQUAL(posix_tpm_other_device(names[i][0], other, sizeof other), names[i][1][0] != 0);
        CHECK_EQUAL((const char *)other, names[i][1]);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"driver: a refusal keeps the descriptor, a failure does not", refusals_keep_the_descriptor},
        {"driver: what refuses the first question is no TPM", refused_at_open},
        {"driver: why a device does not open, and what to do", why_it_does_not_open},
        {"driver: the two devices of one TPM", two_devices_for_one_tpm},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
