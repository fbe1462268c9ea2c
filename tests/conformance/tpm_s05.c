/* SPDX-License-Identifier: MIT */
/* Step 5: what the service's rule about SRKs depends on. Software beside the TPM has an RSA key of its own and would
 * pass it off as the SRK. */
#include "tests/conformance/tpm.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/tools/command_more.h"

#define SOFTWARE_PLAIN (TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_DECRYPT)
#define SOFTWARE_STORAGE (SOFTWARE_PLAIN | TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_NO_DA)

struct software_key {
    struct crypto_rsa_private rsa;
    uint8_t storage[5 * 256 + 64];
    struct tpm2_public vector; /* of the same key, for its modulus */
    struct tpm2_public area;
    uint8_t public_2b[DPS_SRK_PUBLIC_MAX];
    size_t public_len;
    uint8_t name[TPM2_NAME_SIZE];
    uint32_t handle;
};

/* The SRK of the test vectors, whose private half everybody knows. */
static bool software_key(struct conformance *c, struct software_key *k, uint32_t attributes)
{
    struct bytes_writer w = bytes_writer_over(k->public_2b, sizeof k->public_2b);
    int error = crypto_rsa_private_decode(bytes_of(vector_srk_private_der, sizeof vector_srk_private_der),
                                          &k->rsa, k->storage, sizeof k->storage);
    if (error == 0) {
        error = tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &k->vector);
    }
    if (!conformance_check(c, error == 0, "the software key cannot be read: a fault of the suite itself")) {
        return false;
    }
    k->area = tpm2_template_srk();
    k->area.attributes = attributes;
    k->area.unique = k->vector.unique;
    if ((attributes & TPM2_OBJECT_RESTRICTED) == 0) {
        k->area.symmetric = TPM2_ALG_NULL;
    }
    tpm2_public_write_2b(&w, &k->area);
    k->public_len = w.len;
    tpm2_name_of(bytes_written(&w), k->name);
    return true;
}

static int load_external(struct conformance *c, struct software_key *k, bool with_private, uint32_t hierarchy)
{
    struct tpm_suite *t = tpm_of(c);
    const struct bytes public_2b = bytes_of(k->public_2b, k->public_len);
    struct bytes name;
    if (with_private) {
        tpm2_load_external_rsa_build(tpm_begin(c), k->rsa.p, public_2b, hierarchy);
    } else {
        tpm2_load_external_build(tpm_begin(c), public_2b, hierarchy);
    }
    int error = tpm2_load_external_parse(tpm_send(c), &t->rc, &k->handle, &name);
    tpm_remember(c, k->handle);
    return error;
}

/* TPM2_Import with neither wrap, which the TPM allows: then only the attributes can be the reason of a refusal. */
static int import_in_clear(struct conformance *c, struct software_key *k)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t seed[32];
    struct bytes private_2b;
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_writer *w = tpm_begin(c);
    tpm_random(c, seed, sizeof seed);
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 0);
    bytes_write_u32(w, TPM2_CC_IMPORT);
    bytes_write_u32(w, t->srk.handle);
    tpm2_auth_area_write(w, &auth, 1);
    bytes_write_u16(w, 0); /* encryptionKey */
    bytes_write_bytes(w, bytes_of(k->public_2b, k->public_len));
    size_t duplicate = bytes_write_size_begin(w);
    size_t sensitive = bytes_write_size_begin(w);
    bytes_write_u16(w, TPM2_ALG_RSA);
    bytes_write_u16(w, 0); /* authValue */
    bytes_write_2b(w, bytes_of(seed, sizeof seed));
    bytes_write_2b(w, k->rsa.p);
    bytes_write_size_end(w, sensitive);
    bytes_write_size_end(w, duplicate);
    bytes_write_u16(w, 0); /* inSymSeed */
    bytes_write_u16(w, TPM2_ALG_NULL);
    struct bytes_writer size = *w;
    size.len = 2;
    bytes_write_u32(&size, (uint32_t)w->len);
    return tpm2_import_parse(tpm_send(c), &t->rc, &private_2b);
}

static void attack_works(struct conformance *c)
{
    struct software_key k = {0};
    struct tpm_credential made;
    struct bytes opened;
    uint8_t inner_key[16];
    tpm_random(c, inner_key, sizeof inner_key);
    if (!software_key(c, &k, SOFTWARE_PLAIN) ||
        !tpm_ok(c, load_external(c, &k, true, TPM2_RH_NULL), "TPM2_LoadExternal of a software key") ||
        !tpm_make_credential(c, &made, bytes_of(inner_key, sizeof inner_key),
                             bytes_of(k.name, sizeof k.name))) {
        return;
    }
    int error = tpm_activate_simply(c, k.handle, &made, &opened);
    if (tpm_ok(c, error, "TPM2_ActivateCredential for the software key")) {
        conformance_check(c, bytes_equal_public(opened, bytes_of(inner_key, sizeof inner_key)),
                          "it gave another credential");
    }
}

static void plain_import_works(struct conformance *c)
{
    struct software_key k = {0};
    if (software_key(c, &k, SOFTWARE_STORAGE) && tpm_srk(c) != NULL) {
        tpm_ok(c, import_in_clear(c, &k), "TPM2_Import of a software key without fixedTPM");
    }
}

/* fixedTPM without fixedParent contradicts itself, so both may be why: each is tried, and both together. */
static const uint32_t claims[] = {
    TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT,
    TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_SENSITIVE_DATA_ORIGIN,
    TPM2_OBJECT_FIXED_TPM,
};

static void load_external_refuses(struct conformance *c)
{
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        struct software_key k = {0};
        if (!software_key(c, &k, SOFTWARE_PLAIN | claims[i])) {
            return;
        }
        int error = load_external(c, &k, true, TPM2_RH_NULL);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_ATTRIBUTES),
                    "TPM2_LoadExternal of a software key with fixedTPM");
    }
}

static void load_external_refuses_srk(struct conformance *c)
{
    struct software_key k = {0};
    if (software_key(c, &k, tpm2_template_srk().attributes)) {
        int error = load_external(c, &k, true, TPM2_RH_NULL);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_ATTRIBUTES), "TPM2_LoadExternal of a software key as an SRK");
    }
}

static void import_refuses(struct conformance *c)
{
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        struct software_key k = {0};
        if (!software_key(c, &k, SOFTWARE_STORAGE | claims[i]) || tpm_srk(c) == NULL) {
            return;
        }
        int error = import_in_clear(c, &k);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_ATTRIBUTES), "TPM2_Import of a software key with fixedTPM");
    }
}

/* Its public half alone may be loaded with any attributes: then it must be useless. */
static void public_half(struct conformance *c, bool by_policy)
{
    struct tpm_suite *t = tpm_of(c);
    struct software_key k = {0};
    struct tpm_credential made;
    struct bytes opened;
    uint8_t inner_key[16];
    uint32_t session, other = 0;
    tpm_random(c, inner_key, sizeof inner_key);
    if (!software_key(c, &k, tpm2_template_srk().attributes)) {
        return;
    }
    if (load_external(c, &k, false, TPM2_RH_OWNER) != 0) {
        conformance_check(c, true, "refused already by TPM2_LoadExternal");
        conformance_note(c, "TPM2_LoadExternal: %s", tpm_rc_text(t->rc));
        return;
    }
    if (!tpm_make_credential(c, &made, bytes_of(inner_key, sizeof inner_key),
                             bytes_of(k.name, sizeof k.name)) ||
        !tpm_policy_session(c, &session) || (by_policy && !tpm_policy_session(c, &other))) {
        return;
    }
    const struct tpm2_auth auth[2] = {by_policy ? tpm2_auth_policy(other, true)
                                                : tpm2_auth_password(bytes_of(NULL, 0)),
                                      tpm2_auth_policy(session, true)};
    int error = tpm_activate(c, k.handle, auth, &made, &opened);
    tpm_refused(c, error,
                TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_POLICY_FAIL, TPM2_RC_AUTH_TYPE, TPM2_RC_TYPE),
                "TPM2_ActivateCredential for the public half of a software key");
}

static void public_half_by_password(struct conformance *c)
{
    public_half(c, false);
}

static void public_half_by_policy(struct conformance *c)
{
    public_half(c, true);
}

const struct conformance_case tpm_cases_software[] = {
    {"TPM-S05-001",
     "A software key without fixedTPM should load and get credentials, so a service must refuse it.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_SHOULD, 0, attack_works},
    {"TPM-S05-002",
     "A software storage key without fixedTPM should be imported, so a service must refuse it.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_SHOULD, 0, plain_import_works},
    {"TPM-S05-003", "TPM2_LoadExternal must refuse a private key that claims fixedTPM.",
     "TPM 2.0 Part 3 r1.59 12.3", CONFORMANCE_MUST, 0, load_external_refuses},
    {"TPM-S05-004", "TPM2_LoadExternal must refuse a private key with the attributes of an SRK.",
     "TPM 2.0 Part 3 r1.59 12.3", CONFORMANCE_MUST, 0, load_external_refuses_srk},
    {"TPM-S05-005", "TPM2_Import must refuse a key that claims fixedTPM.", "TPM 2.0 Part 3 r1.59 13.3",
     CONFORMANCE_MUST, 0, import_refuses},
    {"TPM-S05-006", "A public half with the attributes of an SRK must get no credential with a password.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_MUST, 0, public_half_by_password},
    {"TPM-S05-007", "A public half with the attributes of an SRK must get no credential with a policy.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_MUST, 0, public_half_by_policy},
    {0},
};
