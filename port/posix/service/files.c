/* SPDX-License-Identifier: MIT */
/* One process reads the files: the only one, or the one that watches the others. The last good content is kept in
 * shared memory, where running processes and restarted ones find it: they never differ, and a file that is
 * being changed, or is gone, keeps no process from serving. */
#include "port/posix/service/files.h"
#include "crypto/tls_identity.h"
#include "dps/service/state.h"
#include "port/posix/service/log.h"
#include "port/posix/service/server.h"
#include <string.h>
#include <unistd.h>

/* Returns: whether the content differs from before. */
static bool keep(struct server_files *f, enum server_file which, const uint8_t *content, size_t len)
{
    if (f->len[which] == len && bytes_equal_secret(f->content[which], content, len)) {
        return false;
    }
    memcpy(f->content[which], content, len);
    f->len[which] = len;
    return true;
}

typedef int read_file(const char *path, bool *made, uint8_t content[SERVER_FILE_MAX], size_t *len, char *why,
                      size_t why_size);
typedef int parse_file(const char *path, struct bytes content, struct dps_service_config *config, char *why,
                       size_t why_size);

/* A file of its own: policies or secrets. */
struct part {
    enum server_file file;
    const char *path;
    read_file *read;
    parse_file *parse;
    uint64_t *version;
};

static int take(struct server_shared *shared, const struct server_config *config, const struct part *part,
                bool *made, char *why, size_t why_size)
{
    uint8_t content[SERVER_FILE_MAX];
    size_t len = 0;
    const struct crypto_lock lock = server_shared_lock(shared);
    struct dps_service_config fresh = config->service;
    int error = part->read(part->path, made, content, &len, why, why_size);
    if (error == 0) {
        error = part->parse(part->path, bytes_of(content, len), &fresh, why, why_size);
    }
    if (error == 0) {
        crypto_lock_take(&lock);
        *part->version += keep(&shared->files, part->file, content, len);
        crypto_lock_leave(&lock);
    }
    bytes_wipe(content, sizeof content);
    bytes_wipe(&fresh, sizeof fresh);
    return error;
}

static int take_policies(struct server_shared *shared, const struct server_config *config, bool *made,
                         char *why, size_t why_size)
{
    const struct part part = {SERVER_POLICIES, config->policy_file, server_policies_read,
                              server_policies_parse, &shared->files.policies};
    return take(shared, config, &part, made, why, why_size);
}

static int take_secrets(struct server_shared *shared, const struct server_config *config, bool *made,
                        char *why, size_t why_size)
{
    const struct part part = {SERVER_SECRETS, config->secret_file, server_secrets_read, server_secrets_parse,
                              &shared->files.secrets};
    return take(shared, config, &part, made, why, why_size);
}

static int take_identity(struct server_shared *shared, const struct server_config *config, char *why,
                         size_t why_size)
{
    struct server_pem pem;
    struct crypto_identity identity;
    struct server_files *f = &shared->files;
    const struct crypto_lock lock = server_shared_lock(shared);
    if (config->certificate == NULL) {
        return 0;
    }
    const int error = server_identity_read(config->certificate, config->key, &pem, &identity, why, why_size);
    if (error == 0) {
        crypto_identity_wipe(&identity);
        crypto_lock_take(&lock);
        const bool other_chain = keep(f, SERVER_CHAIN, pem.chain, pem.chain_len);
        const bool other_key = keep(f, SERVER_KEY, pem.key, pem.key_len);
        f->identity += other_chain || other_key;
        crypto_lock_leave(&lock);
    }
    bytes_wipe(&pem, sizeof pem);
    return error;
}

/* First the files that are only read: if one is bad, nothing has been made yet. */
int server_files_open(struct server_shared *shared, const struct server_config *config,
                      struct server_made *made, char *why, size_t why_size)
{
    *made = (struct server_made){false, false};
    int error = take_identity(shared, config, why, why_size);
    if (error == 0 && access(config->secret_file, F_OK) == 0) {
        error = take_secrets(shared, config, NULL, why, why_size);
    }
    if (error == 0) {
        error = take_policies(shared, config, &made->policies, why, why_size);
    }
    if (error == 0) {
        error = take_secrets(shared, config, &made->secrets, why, why_size);
    }
    if (error != 0) {
        server_made_remove(config, made);
    }
    return error;
}

void server_made_remove(const struct server_config *config, const struct server_made *made)
{
    if (made->policies) {
        (void)unlink(config->policy_file);
    }
    if (made->secrets) {
        (void)unlink(config->secret_file);
    }
}

static unsigned refuse(struct server_log *log, int error, const char *why)
{
    if (error == 0) {
        return 0;
    }
    server_log_line(log, "error", "not reloaded; what was read before stays in use", why);
    return 1;
}

void server_files_reload(struct server_shared *shared, const struct server_config *config,
                         struct server_log *log)
{
    char why[512] = "";
    unsigned refused = refuse(log, take_policies(shared, config, NULL, why, sizeof why), why);
    refused += refuse(log, take_secrets(shared, config, NULL, why, sizeof why), why);
    refused += refuse(log, take_identity(shared, config, why, sizeof why), why);
    shared->files.refused = refused;
}
