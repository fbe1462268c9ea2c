/* SPDX-License-Identifier: MIT */
/* What goes wrong, and who notices. Every answer here is the real TPM's or the real service's. */
#include "dps/device/ownership.h"
#include "dps/protocol/activation.h"
#include "tests/vectors/activation_blob.h"
#include "tests/walkthrough/walkthrough.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include "tpm/tools/command_more.h"
#include <ctype.h>
#include <string.h>

static uint8_t buffer[DPS_TPM_BUFFER];
static uint8_t response[DPS_TPM_BUFFER];

static struct bytes_writer command(void)
{
    return bytes_writer_over(buffer, sizeof buffer);
}

static struct tpm2_auth no_password(void)
{
    return tpm2_auth_password(bytes_of(NULL, 0));
}

void walk_flush(struct walk *k, uint32_t handle)
{
    const bool quiet = k->quiet;
    struct bytes_writer w = command();
    tpm2_flush_context_build(&w, handle);
    k->quiet = true;
    (void)walk_ask(k, &w, response);
    k->quiet = quiet;
}

/* ---- The wrong EK template --------------------------------------------------------------------------------------- */

static void wrong_template(struct walk *k)
{
    uint8_t request[4096];
    uint32_t rc, handle;
    struct bytes public_2b, name;
    const struct tpm2_auth auth = no_password();
    const struct tpm2_public area = tpm2_template_ek_azure_sdk();
    const struct bytes srk = bytes_of(k->srk, k->srk_len);
    walk_scene("wrong-template");
    struct bytes_writer w = command();
    k->step = 1;
    k->what = "an EK from the template with an empty unique";
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, &area);
    const struct bytes answer = walk_ask(k, &w, response);
    walk_must(tpm2_create_primary_parse(answer, &rc, &handle, &public_2b, &name) == 0, "no second EK");
    k->step = 4;
    k->what = "provisioning, with the other EK";
    walk_request(k, request, walk_write_registration(request, sizeof request, public_2b, srk, NULL));
    walk_must(k->flow.answer.refusal == DPS_REFUSED_EK, "the other EK is not refused");
    walk_flush(k, handle);
}

/* ---- One bit ----------------------------------------------------------------------------------------------------- */

void walk_activate(struct walk *k, const struct walk_challenge *c, bool good, uint8_t inner_key[16])
{
    struct dps_activation parts;
    uint32_t rc, session;
    struct bytes nonce, cert_info;
    const struct tpm2_auth password = no_password();
    const bool quiet = k->quiet;
    walk_must(dps_activation_parse(bytes_of(c->blob, c->len), &parts) == 0, "the blob has no form");
    k->quiet = true;
    struct bytes_writer w = command();
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(flow_nonce, 32));
    walk_must(tpm2_start_auth_session_parse(walk_ask(k, &w, response), &rc, &session, &nonce) == 0,
              "no session");
    w = command();
    tpm2_policy_secret_build(&w, TPM2_RH_ENDORSEMENT, session, &password, bytes_of(NULL, 0));
    walk_must(tpm2_policy_secret_parse(walk_ask(k, &w, response), &rc) == 0, "no policy");
    k->quiet = quiet;
    const struct tpm2_auth auth[2] = {password, tpm2_auth_policy(session, true)};
    w = command();
    tpm2_activate_credential_build(&w, c->srk, TPM2_HANDLE_EK, auth, parts.id_object, parts.encrypted_secret);
    const int error = tpm2_activate_credential_parse(walk_ask(k, &w, response), &rc, &cert_info);
    walk_must((error == 0) == good, "ActivateCredential ends otherwise than it should");
    if (good) {
        walk_must(cert_info.len == 16, "the inner key is of another size");
        memcpy(inner_key, cert_info.p, 16);
    }
    walk_flush(k, session);
}

/* Step 7's second half; the private area that comes back, and its length. */
static size_t import(struct walk *k, const struct walk_challenge *c, const uint8_t inner_key[16], bool good,
                     uint8_t wrapped[256])
{
    struct dps_activation parts;
    uint32_t rc;
    struct bytes private_2b = {0};
    const struct tpm2_auth auth = no_password();
    const bool quiet = k->quiet;
    walk_must(dps_activation_parse(bytes_of(c->blob, c->len), &parts) == 0, "the blob has no form");
    struct bytes_writer w = command();
    tpm2_import_build(&w, c->srk, &auth, bytes_of(inner_key, 16), parts.key_public_2b, parts.duplicate,
                      parts.duplicate_secret);
    k->quiet = quiet || good;
    const int error = tpm2_import_parse(walk_ask(k, &w, response), &rc, &private_2b);
    k->quiet = quiet;
    walk_must((error == 0) == good && private_2b.len <= 256, "Import ends otherwise than it should");
    if (good) {
        memcpy(wrapped, private_2b.p, private_2b.len);
    }
    return private_2b.len;
}

void walk_get_challenge(struct walk *k, struct walk_challenge *c, uint32_t srk_handle, struct bytes srk)
{
    uint8_t request[4096];
    const bool quiet = k->quiet;
    const struct bytes ek = bytes_of(k->ek, k->ek_len);
    k->quiet = true;
    walk_request(k, request, walk_write_registration(request, sizeof request, ek, srk, NULL));
    k->quiet = quiet;
    c->len = walk_blob(k, c->blob, sizeof c->blob);
    c->srk = srk_handle;
    walk_must(c->len > 0, "no challenge");
}

static void say_flip(const char *field, const char *what)
{
    (void)printf("{\"kind\":\"flip\",\"field\":\"%s\",\"what\":\"%s\"}\n", field, what);
}

/* Where a part of the blob stands: after its size field. */
static size_t offset_in(const struct walk_challenge *c, struct bytes part)
{
    return (size_t)(part.p - c->blob);
}

static void flip_credential(struct walk *k, const struct walk_challenge *good, size_t at, const char *field,
                            const char *what)
{
    struct walk_challenge bad = *good;
    uint8_t unused[16];
    bad.blob[at] ^= 1;
    say_flip(field, what);
    k->what = "the inner key, from a challenge with one wrong bit";
    walk_activate(k, &bad, false, unused);
}

static void flip_duplicate(struct walk *k, const struct walk_challenge *good, const uint8_t inner_key[16],
                           size_t at, const char *field, const char *what)
{
    struct walk_challenge bad = *good;
    uint8_t unused[256];
    bad.blob[at] ^= 1;
    say_flip(field, what);
    k->what = "to import the nonce, with one wrong bit";
    (void)import(k, &bad, inner_key, false, unused);
}

static void flip_loaded(struct walk *k, const struct walk_challenge *good, const uint8_t inner_key[16])
{
    uint8_t wrapped[256];
    struct dps_activation parts;
    uint32_t rc, object;
    struct bytes name;
    const struct tpm2_auth auth = no_password();
    const size_t len = import(k, good, inner_key, true, wrapped);
    walk_must(dps_activation_parse(bytes_of(good->blob, good->len), &parts) == 0, "the blob has no form");
    wrapped[len - 1] ^= 1;
    say_flip("inPrivate", "the key as the TPM itself has wrapped it");
    k->what = "the imported key, with one wrong bit";
    struct bytes_writer w = command();
    tpm2_load_build(&w, good->srk, &auth, bytes_of(wrapped, len), parts.key_public_2b);
    walk_must(tpm2_load_parse(walk_ask(k, &w, response), &rc, &object, &name) != 0,
              "a changed key is loaded");
}

static void flip_token(struct walk *k)
{
    uint8_t request[4096];
    const size_t len = k->signed_request_len;
    memcpy(request, k->signed_request, len);
    uint8_t *sig = memmem(request, len, "&sig=", 5);
    if (sig != NULL) {
        sig[5] ^= 1; /* its first character, which becomes another one of base64 */
    }
    walk_must(sig != NULL && isalnum(sig[5]), "no signature in which a bit could be changed");
    say_flip("sig", "the token's signature");
    k->step = 8;
    k->what = "provisioning, with a token in which one bit is wrong";
    walk_request(k, request, len);
    walk_must(k->flow.answer.refusal == DPS_REFUSED_TOKEN_SIGNATURE, "a wrong token is not refused");
}

static void one_bit(struct walk *k)
{
    struct walk_challenge c;
    struct dps_activation parts;
    uint8_t inner_key[16];
    uint8_t wrong_key[16];
    uint8_t unused[256];
    walk_scene("one-bit");
    walk_get_challenge(k, &c, TPM2_HANDLE_SRK, bytes_of(k->srk, k->srk_len));
    walk_must(dps_activation_parse(bytes_of(c.blob, c.len), &parts) == 0, "the blob has no form");
    k->step = 7;
    flip_credential(k, &c, offset_in(&c, parts.id_object) + 2, "integrityHMAC", "blob field 1: the HMAC");
    flip_credential(k, &c, offset_in(&c, parts.id_object) + 34, "encIdentity",
                    "blob field 1: the encrypted inner key");
    flip_credential(k, &c, offset_in(&c, parts.encrypted_secret) + 100, "secret",
                    "blob field 2: the encrypted seed");
    k->quiet = true;
    walk_activate(k, &c, true, inner_key);
    k->quiet = false;
    flip_duplicate(k, &c, inner_key, offset_in(&c, parts.duplicate) + 2, "integrityOuter",
                   "blob field 3: the HMAC of the outer wrap");
    flip_duplicate(k, &c, inner_key, offset_in(&c, parts.duplicate) + 90, "dupSensitive",
                   "blob field 3: the twice wrapped key");
    flip_duplicate(k, &c, inner_key, offset_in(&c, parts.duplicate_secret) + 100, "inSymSeed",
                   "blob field 4: the encrypted seed");
    flip_duplicate(k, &c, inner_key, offset_in(&c, parts.key_public_2b) + 49, "unique",
                   "blob field 5: what the key is");
    memcpy(wrong_key, inner_key, sizeof wrong_key);
    wrong_key[0] ^= 1;
    say_flip("encryptionKey", "the inner key");
    k->what = "to import the nonce, with a wrong inner key";
    (void)import(k, &c, wrong_key, false, unused);
    flip_loaded(k, &c, inner_key);
    flip_token(k);
}

/* ---- A software key as SRK --------------------------------------------------------------------------------------- */

static void software_srk(struct walk *k)
{
    uint8_t request[4096];
    uint8_t storage[CRYPTO_RSA_MAX * 8];
    uint8_t claims[284];
    struct crypto_rsa_private key;
    const struct bytes ek = bytes_of(k->ek, k->ek_len);
    walk_scene("software-srk");
    k->step = 4;
    k->what = "provisioning, with a key made by software as SRK";
    walk_request(k, request,
                 walk_write_registration(request, sizeof request, ek,
                                         bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), NULL));
    walk_must(k->flow.answer.refusal == DPS_REFUSED_SRK_ATTRIBUTES, "the software SRK is not refused");

    /* The same key, but it says that it cannot leave a TPM: now the TPM itself refuses it. */
    memcpy(claims, vector_srk_public_2b, sizeof claims);
    memcpy(claims + 6, "\x00\x03\x04\x72", 4);
    walk_must(crypto_rsa_private_decode(bytes_of(vector_srk_private_der, sizeof vector_srk_private_der), &key,
                                        storage, sizeof storage) == 0,
              "the software key has no form");
    k->step = 7;
    k->what = "to load the software key, which claims fixedTPM";
    struct bytes_writer w = command();
    tpm2_load_external_rsa_build(&w, key.p, bytes_of(claims, sizeof claims), TPM2_RH_NULL);
    uint32_t rc, object;
    struct bytes name;
    walk_must(tpm2_load_external_parse(walk_ask(k, &w, response), &rc, &object, &name) == BYTES_E_TPM_RC,
              "the TPM loads a software key that claims fixedTPM");
}

/* ---- A token twice, and a TPM cleared in between ----------------------------------------------------------------- */

static void replay(struct walk *k)
{
    walk_scene("replay");
    k->step = 8;
    k->what = "provisioning, with a token that has been used";
    walk_request(k, k->signed_request, k->signed_request_len);
    walk_must(k->flow.answer.refusal == DPS_REFUSED_TOKEN_REPLAYED, "a replayed token is not refused");
}

static void cleared(struct walk *k)
{
    struct flow *f = &k->flow;
    struct walk_challenge c;
    uint8_t unused[16];
    walk_scene("cleared");
    walk_get_challenge(k, &c, TPM2_HANDLE_SRK, bytes_of(k->srk, k->srk_len));
    k->what = NULL;
    walk_must(dps_device_clear(&f->device, &f->config, flow_nonce) == 0 && flow_finish(f) == 0, "no Clear");
    walk_must(memcmp(k->srk, f->device.srk, k->srk_len) != 0, "the SRK has stayed");

    /* The new owner's SRK, made persistent without a word; then the old challenge. */
    k->quiet = true;
    f->config.owner_auth = bytes_of(NULL, 0);
    walk_must(dps_device_own(&f->device, &f->config, flow_nonce) == 0 && flow_finish(f) == 0, "no new SRK");
    k->quiet = false;
    k->step = 7;
    k->what = "the inner key of a challenge for the SRK that was";
    walk_activate(k, &c, false, unused);
    k->what = NULL;
    k->quiet = true;
    walk_must(flow_register(f) == 0, "the device is not recognised");
    k->quiet = false;
    walk_value("substatus", bytes_of_text(f->device.substatus));
}

void walk_what_goes_wrong(struct walk *k)
{
    wrong_template(k);
    one_bit(k);
    software_srk(k);
    replay(k);
    walk_one_command_too_many(k);
    cleared(k);
    walk_sessions(k);
}
