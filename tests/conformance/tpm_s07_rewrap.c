/* SPDX-License-Identifier: MIT */
/* Steps 3 and 7 with the hardened SRK, and TPM2_Rewrap: what it takes out of the standard SRK, but not out of the
 * hardened one. */
#include "tests/conformance/tpm.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CC_POLICY_RESTART 0x180
#define CC_OBJECT_CHANGE_AUTH 0x150

static const struct tpm2_auth empty = {.handle = TPM2_RS_PW};
static const uint8_t import_digest[] = TPM2_POLICY_IMPORT_SHA256, load_digest[] = TPM2_POLICY_LOAD_SHA256;
static const uint32_t branches[] = {TPM2_CC_IMPORT, TPM2_CC_LOAD};

/* Derived anew in each case, in place of the EK, which no case here needs: TPMs have three slots. */
static bool derive(struct conformance *c, struct tpm_key *key)
{
    tpm_make_room(c);
    return tpm_create_primary(c, TPM2_RH_OWNER, tpm2_template_srk_hardened(), key);
}

static bool policy_code(struct conformance *c, uint32_t session, uint32_t command)
{
    struct tpm_suite *t = tpm_of(c);
    tpm2_policy_command_code_build(tpm_begin(c), session, command);
    return tpm_ok(c, tpm2_policy_command_code_parse(tpm_send(c), &t->rc), "TPM2_PolicyCommandCode");
}

static int policy_or(struct conformance *c, uint32_t session)
{
    struct tpm_suite *t = tpm_of(c);
    const struct bytes either[] = {bytes_of(import_digest, 32), bytes_of(load_digest, 32)};
    tpm2_policy_or_build(tpm_begin(c), session, either, COUNT(either));
    return tpm2_policy_or_parse(tpm_send(c), &t->rc);
}

/* A session that may use the hardened SRK once, for this command. */
static bool allowed(struct conformance *c, uint32_t session, uint32_t command)
{
    return policy_code(c, session, command) && tpm_ok(c, policy_or(c, session), "TPM2_PolicyOR");
}

/* The response code of a command that was built by hand. */
static int refused_raw(struct conformance *c)
{
    struct bytes_writer *w = &tpm_of(c)->w;
    struct bytes_writer size = *w;
    size.len = 2;
    bytes_write_u32(&size, (uint32_t)w->len);
    struct bytes_reader r = bytes_reader_over(tpm_send(c));
    bytes_skip(&r, 6);
    tpm_of(c)->rc = bytes_read_u32(&r);
    return tpm_of(c)->rc == 0 ? 0 : BYTES_E_TPM_RC;
}

static void restart(struct conformance *c, uint32_t session)
{
    struct bytes_writer *w = tpm_begin(c);
    bytes_write_u16(w, TPM2_ST_NO_SESSIONS);
    bytes_write_u32(w, 0);
    bytes_write_u32(w, CC_POLICY_RESTART);
    bytes_write_u32(w, session);
    tpm_ok(c, refused_raw(c), "TPM2_PolicyRestart");
}

/* ---- The hardened SRK: what must work ---- */

static void derived(struct conformance *c)
{
    const struct tpm2_public wanted = tpm2_template_srk_hardened();
    struct tpm_key key, again;
    if (!derive(c, &key)) {
        return;
    }
    conformance_check(c, tpm2_public_matches(&key.area, &wanted) && key.area.unique.len == 256,
                      "its public area is not that of the template");
    if (tpm_flush(c, key.handle) && tpm_create_primary(c, TPM2_RH_OWNER, wanted, &again)) {
        conformance_check(c, memcmp(key.name, again.name, sizeof key.name) == 0,
                          "the same template gave two different keys");
    }
}

static void digest(struct conformance *c)
{
    static const uint8_t wanted[] = TPM2_POLICY_IMPORT_OR_LOAD_SHA256;
    struct tpm_suite *t = tpm_of(c);
    struct bytes got;
    uint32_t session;
    if (!tpm_start_session(c, &session)) {
        return;
    }
    for (size_t i = 0; i < COUNT(branches) && allowed(c, session, branches[i]); i++) {
        tpm2_policy_get_digest_build(tpm_begin(c), session);
        if (!tpm_ok(c, tpm2_policy_get_digest_parse(tpm_send(c), &t->rc, &got), "TPM2_PolicyGetDigest")) {
            return;
        }
        conformance_check(c, bytes_equal_public(got, bytes_of(wanted, sizeof wanted)),
                          "PolicyCommandCode and PolicyOR give another digest than the template has");
        restart(c, session);
    }
}

static int import(struct conformance *c, const struct tpm_key *srk, const struct tpm2_auth *auth,
                  struct tpm_wrapped *k)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes private_2b;
    tpm2_import_build(tpm_begin(c), srk->handle, auth, bytes_of(k->inner_key, sizeof k->inner_key),
                      bytes_of(k->public_2b, k->public_len), bytes_of(k->duplicate, k->duplicate_len),
                      bytes_of(k->secret, k->secret_len));
    const int error = tpm2_import_parse(tpm_send(c), &t->rc, &private_2b);
    if (error == 0 && private_2b.len <= sizeof k->private_2b) {
        memcpy(k->private_2b, private_2b.p, private_2b.len);
        k->private_len = private_2b.len;
    }
    return error;
}

static void brings_in(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_key srk;
    struct tpm_wrapped k;
    struct bytes name;
    uint32_t session;
    tpm_new_key(c, &k);
    if (!derive(c, &srk) || !tpm_wrap_to(c, &k, &srk, false) || !tpm_start_session(c, &session) ||
        !allowed(c, session, TPM2_CC_IMPORT)) {
        return;
    }
    const struct tpm2_auth auth = tpm2_auth_policy(session, true);
    if (!tpm_ok(c, import(c, &srk, &auth, &k), "TPM2_Import") || !allowed(c, session, TPM2_CC_LOAD)) {
        return;
    }
    tpm2_load_build(tpm_begin(c), srk.handle, &auth, bytes_of(k.private_2b, k.private_len),
                    bytes_of(k.public_2b, k.public_len));
    const int error = tpm2_load_parse(tpm_send(c), &t->rc, &k.handle, &name);
    tpm_remember(c, k.handle);
    if (tpm_ok(c, error, "TPM2_Load")) {
        tpm_hmac_is_right(c, &k, bytes_of_text("hardened"));
    }
}

static void whole(struct conformance *c)
{
    struct tpm_flow_counts counts;
    if (tpm_register_hardened(c, &counts)) {
        conformance_note(c, "%u commands for a registration and one more hub token", counts.commands);
    }
}

/* ---- What it must refuse ---- */

static void other_uses(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_public data = tpm2_template_sealed_data();
    struct tpm_key srk;
    struct tpm_wrapped k;
    struct bytes private_2b, public_2b;
    uint32_t session;
    tpm_new_key(c, &k);
    if (!derive(c, &srk) || !tpm_wrap_to(c, &k, &srk, false)) {
        return;
    }
    tpm_refused(c, import(c, &srk, &empty, &k), TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE),
                "TPM2_Import by the empty password");
    tpm2_create_build(tpm_begin(c), srk.handle, &empty, bytes_of(NULL, 0), bytes_of_text("x"), &data);
    int error = tpm2_create_parse(tpm_send(c), &t->rc, &private_2b, &public_2b);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE), "TPM2_Create by the empty password");
    if (!tpm_start_session(c, &session) || !allowed(c, session, TPM2_CC_LOAD)) {
        return;
    }
    const struct tpm2_auth auth = tpm2_auth_policy(session, true);
    tpm2_create_build(tpm_begin(c), srk.handle, &auth, bytes_of(NULL, 0), bytes_of_text("x"), &data);
    error = tpm2_create_parse(tpm_send(c), &t->rc, &private_2b, &public_2b);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_POLICY_CC), "TPM2_Create with the policy of TPM2_Load");
}

/* A primary's authValue can only be given when it is made, and then it is not derived from it. */
static void no_new_auth(struct conformance *c)
{
    struct tpm_key srk;
    if (!tpm_has(c, TPM2_CAP_COMMANDS, CC_OBJECT_CHANGE_AUTH)) {
        conformance_skip(c, "this TPM has no TPM2_ObjectChangeAuth, which the flow does not need");
        return;
    }
    if (!derive(c, &srk)) {
        return;
    }
    struct bytes_writer *w = tpm_begin(c);
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 0);
    bytes_write_u32(w, CC_OBJECT_CHANGE_AUTH);
    bytes_write_u32(w, srk.handle);
    bytes_write_u32(w, TPM2_RH_OWNER);
    tpm2_auth_area_write(w, &empty, 1);
    bytes_write_2b(w, bytes_of_text("new"));
    tpm_refused(c, refused_raw(c), TPM_CODES(TPM2_RC_VALUE, TPM2_RC_TYPE, TPM2_RC_AUTH_UNAVAILABLE),
                "TPM2_ObjectChangeAuth of a primary");
}

#define RULE "spec-notes: Which SRK may be trusted"

const struct conformance_case tpm_cases_hardened[] = {
    {"TPM-S03-030", "The hardened SRK (0x00030432, Import or Load only) should be derived, always the same.",
     RULE, CONFORMANCE_SHOULD, 0, derived},
    {"TPM-S03-031", "PolicyCommandCode and PolicyOR should give the digest that the hardened SRK has.",
     "TPM 2.0 Part 3 r1.59 23.6, 23.11", CONFORMANCE_SHOULD, 0, digest},
    {"TPM-S07-090", "A key of the flow should be imported and loaded under the hardened SRK, and sign.", RULE,
     CONFORMANCE_SHOULD, 0, brings_in},
    {"TPM-S07-091", "The hardened SRK must refuse TPM2_Import by password and all uses of TPM2_Create.", RULE,
     CONFORMANCE_MUST, 0, other_uses},
    {"TPM-S07-092", "TPM2_ObjectChangeAuth must be refused for a primary.", "TPM 2.0 Part 3 r1.59 12.8",
     CONFORMANCE_MUST, 0, no_new_auth},
    {"TPM-S09-005", "A whole registration and a hub token should work with the hardened SRK.", RULE,
     CONFORMANCE_SHOULD, 0, whole},
    {0},
};

/* ---- TPM2_Rewrap ---- */

static bool lists_rewrap(struct conformance *c)
{
    return tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_REWRAP);
}

static void not_listed(struct conformance *c)
{
    conformance_check(
        c, !lists_rewrap(c),
        "it is listed: software on the host takes nonce and hub key out of the standard SRK with "
        "it, so use the hardened one (dps-device register --srk hardened)");
}

static int rewrap(struct conformance *c, uint32_t parent, const struct tpm2_auth *auth,
                  const struct tpm_wrapped *k, struct bytes *duplicate)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes secret;
    tpm2_rewrap_build(tpm_begin(c), parent, TPM2_RH_NULL, auth, bytes_of(k->duplicate, k->duplicate_len),
                      bytes_of(k->name, sizeof k->name), bytes_of(k->secret, k->secret_len));
    return tpm2_rewrap_parse(tpm_send(c), &t->rc, duplicate, &secret);
}

/* The report shows what this TPM answers to whom. */
static void note_refused(struct conformance *c, int error, const char *by)
{
    if (error == BYTES_E_TPM_RC) {
        conformance_note(c, "TPM2_Rewrap %s: refused (0x%03x)", by, (unsigned)tpm_of(c)->rc);
    }
}

/* Then whoever has the inner key, as the host does, has the HMAC key. */
static void attack(struct conformance *c)
{
    uint8_t storage[256];
    struct tpm2_sensitive sensitive;
    struct tpm_wrapped k;
    struct bytes duplicate;
    const bool listed = lists_rewrap(c);
    tpm_new_key(c, &k);
    if (!tpm_wrap(c, &k, false)) {
        return;
    }
    const int error = rewrap(c, tpm_of(c)->srk.handle, &empty, &k, &duplicate);
    if (!listed) {
        tpm_refused(c, error, TPM_CODES(TPM2_RC_COMMAND_CODE), "TPM2_Rewrap, which is not listed");
        note_refused(c, error, "from the standard SRK");
        return;
    }
    if (!tpm_ok(c, error, "TPM2_Rewrap from the standard SRK to nobody")) {
        return;
    }
    const int opened =
        tpm2_duplicate_open_inner(duplicate, bytes_of(k.inner_key, sizeof k.inner_key),
                                  bytes_of(k.name, sizeof k.name), &sensitive, storage, sizeof storage);
    const bool taken = opened == 0 && bytes_equal_public(sensitive.key, bytes_of(k.key, k.key_len));
    conformance_check(c, taken, "it gave something other than the key in its inner layer");
    if (taken) {
        conformance_note(c, "TPM2_Rewrap from the standard SRK: %zu bytes of key in clear", k.key_len);
    }
    bytes_wipe(storage, sizeof storage);
}

static void must_refuse(struct conformance *c, const struct tpm_key *srk, const struct tpm2_auth *auth,
                        const struct tpm_wrapped *k, uint32_t rc, const char *by)
{
    struct bytes duplicate;
    char what[64];
    const int error = rewrap(c, srk->handle, auth, k, &duplicate);
    (void)snprintf(what, sizeof what, "TPM2_Rewrap %s", by);
    tpm_refused(c, error, TPM_CODES(rc), what);
    note_refused(c, error, by);
}

static void hardened_refuses(struct conformance *c)
{
    struct tpm_key srk;
    struct tpm_wrapped k;
    uint32_t session;
    tpm_new_key(c, &k);
    if (!lists_rewrap(c)) {
        conformance_skip(c, "this TPM has no TPM2_Rewrap");
        return;
    }
    if (!derive(c, &srk) || !tpm_wrap_to(c, &k, &srk, false) || !tpm_start_session(c, &session)) {
        return;
    }
    const struct tpm2_auth auth = tpm2_auth_policy(session, true);
    must_refuse(c, &srk, &empty, &k, TPM2_RC_AUTH_UNAVAILABLE, "by the empty password");
    static const char *const by[] = {"by the policy of Import", "by the policy of Load"};
    for (size_t i = 0; i < COUNT(branches) && allowed(c, session, branches[i]); i++) {
        must_refuse(c, &srk, &auth, &k, TPM2_RC_POLICY_CC, by[i]);
        restart(c, session);
    }
    if (!policy_code(c, session, TPM2_CC_REWRAP)) {
        return;
    }
    must_refuse(c, &srk, &auth, &k, TPM2_RC_POLICY_FAIL, "by a policy of its own");
    restart(c, session);
    if (policy_code(c, session, TPM2_CC_REWRAP)) {
        tpm_refused(c, policy_or(c, session), TPM_CODES(TPM2_RC_VALUE),
                    "TPM2_PolicyOR for a command that has no branch");
    }
}

/* The public half says of itself what it likes, as long as it does not claim to be fixedTPM. */
static void public_half(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t public_2b[DPS_SRK_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(public_2b, sizeof public_2b);
    struct tpm_key srk;
    struct tpm_wrapped k;
    struct bytes name, duplicate;
    uint32_t half = 0;
    tpm_new_key(c, &k);
    if (!lists_rewrap(c)) {
        conformance_skip(c, "this TPM has no TPM2_Rewrap");
        return;
    }
    if (!derive(c, &srk) || !tpm_wrap_to(c, &k, &srk, false) || !tpm_flush(c, srk.handle)) {
        return;
    }
    struct tpm2_public area = tpm2_template_srk();
    area.attributes &= ~(uint32_t)(TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT);
    area.unique = srk.area.unique;
    tpm2_public_write_2b(&w, &area);
    tpm2_load_external_build(tpm_begin(c), bytes_written(&w), TPM2_RH_OWNER);
    const int error = tpm2_load_external_parse(tpm_send(c), &t->rc, &half, &name);
    tpm_remember(c, half);
    if (tpm_ok(c, error, "TPM2_LoadExternal of a public half")) {
        tpm_refused(c, rewrap(c, half, &empty, &k, &duplicate),
                    TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_KEY, TPM2_RC_TYPE),
                    "TPM2_Rewrap by the public half of the hardened SRK");
    }
}

const struct conformance_case tpm_cases_rewrap[] = {
    {"TPM-S07-100", "TPM2_Rewrap should not be listed: it takes keys out of the standard SRK in clear.", RULE,
     CONFORMANCE_SHOULD, 0, not_listed},
    {"TPM-S07-101",
     "TPM2_Rewrap from the standard SRK must do as is known: if listed, give the key in its inner layer.",
     "TPM 2.0 Part 3 r1.59 13.2; " RULE, CONFORMANCE_MUST, 0, attack},
    {"TPM-S07-102", "TPM2_Rewrap from the hardened SRK must be refused, whatever authorizes it.",
     "TPM 2.0 Part 1 r1.59 19.7; " RULE, CONFORMANCE_MUST, 0, hardened_refuses},
    {"TPM-S07-103", "TPM2_Rewrap must be refused for a public half that was loaded under other attributes.",
     "TPM 2.0 Part 3 r1.59 12.3, 13.2", CONFORMANCE_MUST, 0, public_half},
    {0},
};
