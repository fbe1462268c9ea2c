/* SPDX-License-Identifier: MIT */
/* The files of dps-service: policies, secrets, certificate and key. Functions return 0 or a value of enum bytes_error;
 * a why buffer receives a sentence for the user. */
#ifndef PORT_POSIX_SERVICE_FILES_H
#define PORT_POSIX_SERVICE_FILES_H

#include "crypto/tls.h"
#include "dps/service/state.h"
#include "port/posix/service/types.h"

struct server_config;
struct server_shared;

/* ---- config.c ---- */

/* Add "NAME" or "NAME=WEIGHT". Returns: 0; BYTES_E_USAGE. */
int server_hub_add(struct dps_service_config *config, const char *text, char *why, size_t why_size);

/* Read a file that holds secrets. made (may be null: then a missing file is an error) becomes true if there was none
 * and one was made from fresh random numbers. The caller wipes content.
 * Returns: 0; BYTES_E_FILE. */
int server_policies_read(const char *path, bool *made, uint8_t content[SERVER_FILE_MAX], size_t *len,
                         char *why, size_t why_size);
int server_secrets_read(const char *path, bool *made, uint8_t content[SERVER_FILE_MAX], size_t *len,
                        char *why, size_t why_size);

/* Take what such a file holds; path is for why. Returns: 0; BYTES_E_FILE, and then config is unchanged. */
int server_policies_parse(const char *path, struct bytes content, struct dps_service_config *config,
                          char *why, size_t why_size);
int server_secrets_parse(const char *path, struct bytes content, struct dps_service_config *config, char *why,
                         size_t why_size);

/* Certificate and key, which are only good together; the names are for why. Returns: 0; BYTES_E_TLS. */
int server_identity_parse(const char *certificate, const char *key, struct bytes chain_pem,
                          struct bytes key_pem, struct crypto_identity *identity, char *why, size_t why_size);
/* The same from files, which may be DER. The caller wipes pem. */
struct server_pem {
    uint8_t chain[SERVER_FILE_MAX], key[SERVER_FILE_MAX];
    size_t chain_len, key_len;
};
int server_identity_read(const char *certificate, const char *key, struct server_pem *pem,
                         struct crypto_identity *identity, char *why, size_t why_size);

/* ---- files.c ---- */

/* Which files a start has made: if it fails, they are removed. */
struct server_made {
    bool policies, secrets;
};
/* Read all files; made what is missing. Returns: 0; BYTES_E_FILE; BYTES_E_TLS (certificate or key). */
int server_files_open(struct server_shared *shared, const struct server_config *config,
                      struct server_made *made, char *why, size_t why_size);
void server_made_remove(const struct server_config *config, const struct server_made *made);
/* Read them again. What is unusable stays as it was, and the log says so. Certificate and key are one. */
void server_files_reload(struct server_shared *shared, const struct server_config *config,
                         struct server_log *log);

#endif
