/* SPDX-License-Identifier: MIT */
/* Why a TPM cannot be used, and what to do. */
#include "port/posix/private.h"
#include "tpm/tpm2.h"
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADVICE_MAX 400
#define DEVICE_NAME_MAX 64

static const char *device_reason(int cause)
{
    return cause == ENODEV  ? "this is not a TPM device"
           : cause == EBUSY ? "another program has it open, and it takes one at a time"
                            : posix_connect_reason(cause);
}

/* Nobody else's device is advised: only one that is there and that this user may open. */
static bool other_is_usable(const char *path, char *other, size_t size)
{
    return posix_tpm_other_device(path, other, size) && access(other, R_OK | W_OK) == 0;
}

static void advise_permission(const char *path, char *text, size_t size)
{
    char other[DEVICE_NAME_MAX];
    struct stat st;
    if (other_is_usable(path, other, sizeof other)) {
        snprintf(text, size, "use %s, which this user may open", other);
        return;
    }
    const bool found = stat(path, &st) == 0;
    /* A group may, and not root's, which stands there if nobody chose one. */
    const bool grouped = found && st.st_gid != 0 && (st.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP);
    const struct group *group = grouped ? getgrgid(st.st_gid) : NULL;
    if (group != NULL) {
        snprintf(text, size,
                 "its group is %s: `usermod -aG %s USER` makes this user a member from the next login on; or "
                 "run this as root",
                 group->gr_name, group->gr_name);
    } else if (found) {
        snprintf(text, size,
                 "run this as root, or let a group use /dev/tpmrm*: Debian's package tpm-udev gives it to "
                 "the group tss");
    } else {
        snprintf(text, size,
                 "give this user access: `ls -l` shows its group, often tss, and `usermod -aG tss USER` "
                 "makes a member from the next login on; or run this as root");
    }
}

static void advise_busy(const char *path, char *text, size_t size)
{
    char other[DEVICE_NAME_MAX];
    if (other_is_usable(path, other, sizeof other)) {
        snprintf(text, size,
                 "use %s, which takes many programs; or end the one that has the other open (`fuser -v "
                 "%.63s` shows it)",
                 other, path);
    } else {
        snprintf(text, size, "end the program that has it open (`fuser -v %.63s` shows it)", path);
    }
}

static void advise_device(const char *path, int cause, char *text, size_t size)
{
    switch (cause) {
    case ENOENT:
    case ENXIO:
        snprintf(text, size,
                 "`ls /dev/tpm*` shows which there are; without any, enable the TPM in the firmware's set-up "
                 "(BIOS), and see whether the kernel has its driver");
        break;
    case EACCES:
    case EPERM:
        advise_permission(path, text, size);
        break;
    case EBUSY:
        advise_busy(path, text, size);
        break;
    default:
        snprintf(text, size, "name a TPM, such as /dev/tpmrm0");
    }
}

/* The two protocols over TCP are easily mistaken for each other, and then nothing answers. */
static bool explain_mistaken(const struct posix_tpm *t, const char *name, char *why, size_t why_size)
{
    const bool mssim = t->kind == POSIX_TPM_MSSIM;
    if ((!mssim && t->kind != POSIX_TPM_SWTPM_TCP) ||
        !posix_tpm_speaks(t, mssim ? POSIX_TPM_SWTPM_TCP : POSIX_TPM_MSSIM)) {
        return false;
    }
    const bool ipv6 = strchr(t->address, ':') != NULL;
    snprintf(why, why_size, "%s: there is a TPM, but it speaks %s. What to do: call it %s:%s%s%s:%u", name,
             mssim ? "swtpm's protocol, not that of the TPM simulator"
                   : "the TPM simulator's protocol, not swtpm's",
             mssim ? "swtpm" : "mssim", ipv6 ? "[" : "", t->address, ipv6 ? "]" : "", (unsigned)t->port);
    return true;
}

static void explain_unreached(const struct posix_tpm *t, const char *name, char *why, size_t why_size)
{
    char port[80] = "";
    if (t->kind == POSIX_TPM_DEVICE) {
        char advice[ADVICE_MAX];
        advise_device(t->address, t->cause, advice, sizeof advice);
        snprintf(why, why_size, "cannot reach the TPM %s: %s. What to do: %s", name, device_reason(t->cause),
                 advice);
        return;
    }
    if (t->kind == POSIX_TPM_MSSIM) {
        snprintf(port, sizeof port, "%s port %u%s", t->tried_port == t->port ? "its" : "its platform",
                 (unsigned)t->tried_port, t->tried_port == t->port ? ": " : " (PORT + 1): ");
    }
    snprintf(why, why_size,
             "cannot reach the TPM %s: %s%s. What to do: start it, or name the place where it listens", name,
             port, posix_connect_reason(t->cause));
}

static void explain_answer(const struct posix_tpm *t, const char *name, int error, uint32_t rc, char *why,
                           size_t why_size)
{
    if (rc == TPM2_RC_FAILURE) {
        snprintf(why, why_size,
                 "%s is in failure mode or not initialized (0x101). What to do: start swtpm with --flags "
                 "not-need-init,startup-clear, a real TPM with its machine",
                 name);
    } else if (rc != 0) {
        snprintf(why, why_size, "%s refused TPM2_Startup (0x%x). What to do: restart it", name, (unsigned)rc);
    } else if (error == BYTES_E_TIMEOUT) {
        snprintf(why, why_size,
                 "%s does not answer. What to do: see whether another program is connected to it, which "
                 "swtpm lets one "
                 "be at a time; and whether this is the port for commands, not for control",
                 name);
    } else if (t->kind == POSIX_TPM_DEVICE) {
        snprintf(why, why_size,
                 "%s does not answer as a TPM does. What to do: name a TPM, such as /dev/tpmrm0; if this is "
                 "one, restart the machine",
                 name);
    } else {
        snprintf(
            why, why_size,
            "%s does not answer as a TPM does: %s. What to do: see whether a TPM listens there, and in which "
            "protocol: swtpm: or mssim:",
            name, posix_error_text(error));
    }
}

void posix_tpm_explain(const struct posix_tpm *t, const char *name, int error, uint32_t rc, char *why,
                       size_t why_size)
{
    /* A server that accepts and is silent may be working for another client: it is left alone. */
    const bool silent = t->kind == POSIX_TPM_SWTPM_TCP && error == BYTES_E_TIMEOUT;
    const bool nobody = t->cause != 0 && t->tried_port == t->port;
    if (rc == 0 && !silent && !nobody && explain_mistaken(t, name, why, why_size)) {
        return;
    }
    if (t->cause != 0) {
        explain_unreached(t, name, why, why_size);
    } else {
        explain_answer(t, name, error, rc, why, why_size);
    }
}
