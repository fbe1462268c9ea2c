/* SPDX-License-Identifier: MIT */
/* What a TPM is called on the command line. */
#include "port/posix/private.h"
#include <stdio.h>
#include <string.h>

static int set_address(struct posix_tpm *t, enum posix_tpm_kind kind, const char *address)
{
    size_t len = strlen(address);
    t->kind = kind;
    if (len == 0 || len >= sizeof t->address) {
        return BYTES_E_USAGE;
    }
    memcpy(t->address, address, len + 1);
    return 0;
}

/* The part of name after prefix, or null. */
static const char *after(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

static int parse_name(struct posix_tpm *t, const char *name)
{
    const char *rest;
    if (name[0] == '/') {
        return set_address(t, POSIX_TPM_DEVICE, name);
    }
    if ((rest = after(name, "libtpms:")) != NULL) {
        return set_address(t, POSIX_TPM_LIBTPMS, rest);
    }
    if ((rest = after(name, "swtpm:")) != NULL) {
        if (rest[0] == '/') {
            return set_address(t, POSIX_TPM_SWTPM_UNIX, rest);
        }
        t->kind = POSIX_TPM_SWTPM_TCP;
        return posix_host_port(rest, t->address, sizeof t->address, &t->port);
    }
    if ((rest = after(name, "mssim:")) != NULL) {
        t->kind = POSIX_TPM_MSSIM;
        int error = posix_host_port(rest, t->address, sizeof t->address, &t->port);
        return error == 0 && t->port == 65535 ? BYTES_E_USAGE : error;
    }
    return BYTES_E_USAGE;
}

/* Returns: the name of the TPM inside, or null with why. */
static const char *unwrap(struct posix_tpm *t, const char *name, char *why, size_t why_size)
{
    for (const struct posix_tpm_wrapper *w = posix_tpm_wrappers; w->prefix != NULL; w++) {
        const char *rest = after(name, w->prefix);
        if (rest != NULL) {
            t->wrapper = w;
            return w->open(rest, why, why_size);
        }
    }
    return name;
}

static void explain_name(const struct posix_tpm *t, const char *name, char *why, size_t why_size)
{
    const bool wrapper = after(name, "hostile:") != NULL || after(name, "interpose:") != NULL;
    if (t->wrapper == NULL && wrapper) {
        snprintf(
            why, why_size,
            "%s is a TPM that misbehaves, and only dps-conformance has one: start dps-conformance --tpm NAME "
            "--serve-tpm 127.0.0.1:2321, and name it swtpm:127.0.0.1:2321 here",
            name);
        return;
    }
    snprintf(why, why_size,
             "%s names no TPM: it must be libtpms:DIR, swtpm:HOST:PORT, swtpm:/SOCKET, mssim:HOST:PORT, or "
             "a device such as /dev/tpmrm0",
             name);
}

bool posix_tpm_other_device(const char *path, char *other, size_t size)
{
    static const char direct[] = "/dev/tpm", shared[] = "/dev/tpmrm";
    const char *number = after(path, shared);
    const bool is_shared = number != NULL;
    number = is_shared ? number : after(path, direct);
    if (number == NULL || number[0] < '0' || number[0] > '9') {
        return false;
    }
    snprintf(other, size, "%s%s", is_shared ? direct : shared, number);
    return true;
}

int posix_tpm_named(struct posix_tpm *t, const char **name, char *why, size_t why_size)
{
    *name = unwrap(t, *name, why, why_size);
    if (*name == NULL) {
        return BYTES_E_USAGE;
    }
    int error = parse_name(t, *name);
    if (error != 0) {
        explain_name(t, *name, why, why_size);
    }
    return error;
}
