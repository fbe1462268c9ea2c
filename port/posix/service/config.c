/* SPDX-License-Identifier: MIT */
/* The files of dps-service. The two that hold secrets are made by the first start, because a key that a person
 * has to make up is a weak one; they are never made by a reload, because a file that is suddenly missing is a
 * mistake. */
#include "crypto/tls_identity.h"
#include "dps/manage/admin_auth.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/state.h"
#include "port/posix/pki/pem.h"
#include "port/posix/service/files.h"
#include "port/posix/service/server.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int server_hub_add(struct dps_service_config *config, const char *text, char *why, size_t why_size)
{
    struct bytes name;
    struct bytes weight = dps_split(bytes_of_text(text), '=', &name);
    uint64_t number = 1;
    if (config->hub_count == DPS_HUBS_MAX) {
        snprintf(why, why_size, "there may be %d hubs at most", DPS_HUBS_MAX);
        return BYTES_E_USAGE;
    }
    if (!dps_host_valid(name)) {
        snprintf(why, why_size, "--hub %s: this is not a host name", text);
        return BYTES_E_USAGE;
    }
    if (name.len < strlen(text) && (dps_decimal_parse(weight, 1000, &number) != 0 || number == 0)) {
        snprintf(why, why_size, "--hub %s: a weight is a number from 1 to 1000", text);
        return BYTES_E_USAGE;
    }
    struct dps_hub_config *hub = &config->hubs[config->hub_count];
    *hub = (struct dps_hub_config){.weight = (uint16_t)number};
    for (size_t i = 0; i < name.len; i++) {
        hub->name[i] = (char)dps_lower(name.p[i]);
    }
    for (size_t i = 0; i < config->hub_count; i++) {
        if (strcmp(config->hubs[i].name, hub->name) == 0) {
            snprintf(why, why_size, "--hub %s is given twice", hub->name);
            return BYTES_E_USAGE;
        }
    }
    config->hub_count++;
    return 0;
}

/* The name of a secret that values were already derived from must not be lost with the power. */
static int sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    int error = fsync(fd) == 0 ? 0 : BYTES_E_FILE;
    (void)close(fd);
    return error;
}

/* Make a file that must not exist yet: of two services that start together on one directory one makes it, and the other
 * reads it. */
static int make_file(const char *path, struct bytes content, bool *made)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof beside) {
        errno = ENAMETOOLONG;
        return BYTES_E_FILE;
    }
    if (posix_file_replace(beside, content, 0600) != 0) {
        return BYTES_E_FILE;
    }
    *made = link(beside, path) == 0;
    int error = *made || errno == EEXIST ? 0 : BYTES_E_FILE;
    int saved = errno;
    (void)unlink(beside);
    errno = saved;
    return error == 0 ? sync_directory(path) : error;
}

/* Read a file with secrets, which make writes if it is missing and may be made. */
static int load(const char *path, bool *made, int (*make)(struct bytes_writer *w),
                uint8_t content[SERVER_FILE_MAX], size_t *len, char *why, size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    int error = posix_secret_read(path, content, SERVER_FILE_MAX, len, why, why_size);
    if (error != BYTES_E_NOT_FOUND || made == NULL) {
        return error == 0 ? 0 : BYTES_E_FILE;
    }
    struct bytes_writer w = bytes_writer_over(content, SERVER_FILE_MAX);
    error = make(&w);
    if (error != 0) {
        snprintf(why, why_size, "%s cannot be made: %s", path, posix_error_text(error));
    } else if ((error = make_file(path, bytes_written(&w), made)) != 0) {
        snprintf(why, why_size, "%s cannot be made: %s", path,
                 posix_file_error(errno, reason, sizeof reason));
    }
    if (error != 0) {
        return BYTES_E_FILE;
    }
    return posix_secret_read(path, content, SERVER_FILE_MAX, len, why, why_size) == 0 ? 0 : BYTES_E_FILE;
}

/* ---- Policies ---- */

static int make_policies(struct bytes_writer *w)
{
    uint8_t key[32];
    const struct crypto_entropy entropy = posix_entropy();
    int error = entropy.fill(entropy.context, key, sizeof key);
    dps_write_text(w, "{\"policies\":[{\"name\":\"provisioningserviceowner\",\"primaryKey\":\"");
    dps_write_base64(w, bytes_of(key, sizeof key));
    dps_write_text(w, "\"}]}\n");
    bytes_wipe(key, sizeof key);
    return error;
}

int server_policies_read(const char *path, bool *made, uint8_t content[SERVER_FILE_MAX], size_t *len,
                         char *why, size_t why_size)
{
    return load(path, made, make_policies, content, len, why, why_size);
}

int server_policies_parse(const char *path, struct bytes content, struct dps_service_config *config,
                          char *why, size_t why_size)
{
    struct dps_service_config fresh = *config;
    int error = dps_policies_parse(content, &fresh);
    if (error == 0) {
        *config = fresh;
    } else {
        snprintf(why, why_size,
                 "%s is not of the form {\"policies\":[{\"name\":...,\"primaryKey\":...}]}, or has more "
                 "than %d policies or a key that is not the base64 of 16 to 64 bytes",
                 path, DPS_POLICIES_MAX);
    }
    bytes_wipe(&fresh, sizeof fresh);
    return error == 0 ? 0 : BYTES_E_FILE;
}

/* ---- The service secret ---- */

static int make_secrets(struct bytes_writer *w)
{
    uint8_t key[32];
    const struct crypto_entropy entropy = posix_entropy();
    int error = entropy.fill(entropy.context, key, sizeof key);
    dps_write_text(
        w,
        "# The service secret: one line \"EPOCH KEY\" each. The last one makes new values, the others still "
        "verify.\n"
        "# To rotate, add a line with the next number and 64 random hex digits, and send SIGHUP.\n"
        "1 ");
    dps_write_hex(w, bytes_of(key, sizeof key));
    dps_write_text(w, "\n");
    bytes_wipe(key, sizeof key);
    return error;
}

/* Epochs must ascend: then none is given twice, and there is no doubt which one is the newest. Returns null, or what is
 * wrong. */
static const char *parse_secret(struct bytes line, struct dps_service_config *config)
{
    struct bytes epoch;
    struct bytes key = dps_split(line, ' ', &epoch);
    uint64_t number;
    size_t len;
    if (config->secret_count == DPS_SECRETS_MAX) {
        return "there are too many epochs; the oldest ones can go";
    }
    struct dps_secret *secret = &config->secrets[config->secret_count];
    if (dps_decimal_parse(epoch, UINT32_MAX, &number) != 0 || number == 0) {
        return "it must begin with the number of an epoch: 1, 2, ...";
    }
    if (config->secret_count > 0 && number <= secret[-1].epoch) {
        return "its epoch must be greater than the one before";
    }
    if (key.len != 2 * sizeof secret->key ||
        dps_hex_decode(key, secret->key, sizeof secret->key, &len) != 0) {
        return "after the epoch and one space there must be 64 hex digits";
    }
    secret->epoch = (uint32_t)number;
    config->secret_count++;
    return NULL;
}

static int parse_secrets(const char *path, struct bytes text, struct dps_service_config *config, char *why,
                         size_t why_size)
{
    const char *wrong = NULL;
    size_t number = 0;
    config->secret_count = 0;
    while (text.len > 0 && wrong == NULL) {
        struct bytes line;
        text = dps_split(text, '\n', &line);
        number++;
        if (line.len > 0 && line.p[0] != '#') {
            wrong = parse_secret(line, config);
        }
    }
    if (wrong != NULL) {
        snprintf(why, why_size, "%s, line %zu: %s", path, number, wrong);
    } else if (config->secret_count == 0) {
        snprintf(why, why_size, "%s holds no secret; move it away and a new one is made", path);
    }
    return wrong != NULL || config->secret_count == 0 ? BYTES_E_FILE : 0;
}

int server_secrets_read(const char *path, bool *made, uint8_t content[SERVER_FILE_MAX], size_t *len,
                        char *why, size_t why_size)
{
    return load(path, made, make_secrets, content, len, why, why_size);
}

int server_secrets_parse(const char *path, struct bytes content, struct dps_service_config *config, char *why,
                         size_t why_size)
{
    struct dps_service_config fresh = *config;
    int error = parse_secrets(path, content, &fresh, why, why_size);
    if (error == 0) {
        *config = fresh;
    }
    bytes_wipe(&fresh, sizeof fresh);
    return error;
}

/* ---- Certificate and key ---- */

/* The key's file is as secret as the others; the chain's is not. */
static int read_chain(const char *path, uint8_t content[SERVER_FILE_MAX], size_t *len, char *why,
                      size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    int error = posix_file_read(path, content, SERVER_FILE_MAX, len);
    if (error == 0) {
        error = pem_make(content, len, SERVER_FILE_MAX);
    }
    if (error == BYTES_E_SPACE) {
        snprintf(why, why_size, "%s is too large for a certificate", path);
    } else if (error != 0) {
        snprintf(why, why_size, "%s: %s", path, posix_file_error(errno, reason, sizeof reason));
    }
    return error == 0 ? 0 : BYTES_E_TLS;
}

static int read_key(const char *path, uint8_t content[SERVER_FILE_MAX], size_t *len, char *why,
                    size_t why_size)
{
    if (posix_secret_read_whole(path, content, SERVER_FILE_MAX, len, why, why_size) != 0) {
        return BYTES_E_TLS;
    }
    if (pem_make(content, len, SERVER_FILE_MAX) == 0) {
        return 0;
    }
    snprintf(why, why_size, "%s is too large for a key", path);
    return BYTES_E_TLS;
}

int server_identity_parse(const char *certificate, const char *key, struct bytes chain_pem,
                          struct bytes key_pem, struct crypto_identity *identity, char *why, size_t why_size)
{
    const int error = crypto_identity_load(identity, chain_pem, key_pem);
    if (error != 0) {
        pki_identity_fault(error, certificate, chain_pem, key, key_pem, why, why_size);
    }
    return error == 0 ? 0 : BYTES_E_TLS;
}

int server_identity_read(const char *certificate, const char *key, struct server_pem *pem,
                         struct crypto_identity *identity, char *why, size_t why_size)
{
    int error = read_chain(certificate, pem->chain, &pem->chain_len, why, why_size);
    if (error == 0) {
        error = read_key(key, pem->key, &pem->key_len, why, why_size);
    }
    if (error == 0) {
        error = server_identity_parse(certificate, key, bytes_of(pem->chain, pem->chain_len),
                                      bytes_of(pem->key, pem->key_len), identity, why, why_size);
    }
    return error;
}
