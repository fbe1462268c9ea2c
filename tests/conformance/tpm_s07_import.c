/* SPDX-License-Identifier: MIT */
/* Step 7, second half: TPM2_Import and TPM2_Load of the HMAC key. */
#include "tests/conformance/tpm.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define KEY_ATTRIBUTES (TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_SIGN_ENCRYPT)

static const uint32_t integrity[] = {TPM2_RC_INTEGRITY, 0};
/* A seed or inner wrap that does not decrypt to anything: what is seen first may differ. */
static const uint32_t garbage[] = {TPM2_RC_VALUE,   TPM2_RC_INTEGRITY,    TPM2_RC_SIZE,   TPM2_RC_KEY,
                                   TPM2_RC_FAILURE, TPM2_RC_INSUFFICIENT, TPM2_RC_SCHEME, 0};

/* What a refusal depends on: that such a key is accepted, if nothing is wrong with it. */
static bool tpm_stands(struct conformance *c, int error, const char *what)
{
    const char *before = conformance_stand_on(c, "TPM-S07-040");
    const bool taken = tpm_ok(c, error, what);
    conformance_stand_back(c, before);
    return taken;
}

static bool imported(struct conformance *c, struct tpm_wrapped *k)
{
    tpm_new_key(c, k);
    return tpm_wrap(c, k, false) && tpm_stands(c, tpm_import(c, k), "TPM2_Import");
}

/* ---- What must be accepted ---- */

static void brings_in(struct conformance *c)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (tpm_bring_in(c, &k)) {
        tpm_hmac_is_right(c, &k, bytes_of_text("step 7"));
    }
}

static void attribute_variations(struct conformance *c)
{
    static const uint32_t more[] = {TPM2_OBJECT_NO_DA, TPM2_OBJECT_ENCRYPTED_DUPLICATION,
                                    TPM2_OBJECT_ADMIN_WITH_POLICY, TPM2_OBJECT_ST_CLEAR};
    if (!tpm_takes_keys(c)) {
        return;
    }
    conformance_judge(c);
    for (size_t i = 0; i < COUNT(more) && !c->failed; i++) {
        struct tpm_wrapped k;
        tpm_new_key(c, &k);
        k.area.attributes ^= more[i];
        conformance_note(c, "attributes 0x%08x", k.area.attributes);
        if (tpm_bring_in(c, &k) && tpm_hmac_is_right(c, &k, bytes_of_text("variation"))) {
            tpm_flush(c, k.handle);
        }
    }
}

static void key_sizes(struct conformance *c)
{
    static const size_t sizes[] = {16, 31, 33, 64};
    if (!tpm_takes_keys(c)) {
        return;
    }
    conformance_judge(c);
    for (size_t i = 0; i < COUNT(sizes) && !c->failed; i++) {
        struct tpm_wrapped k;
        tpm_new_key(c, &k);
        k.key_len = sizes[i];
        if (tpm_bring_in(c, &k) && tpm_hmac_is_right(c, &k, bytes_of_text("size"))) {
            tpm_flush(c, k.handle);
        }
    }
}

static void imports_twice(struct conformance *c)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k) || !tpm_flush(c, k.handle) ||
        !tpm_ok(c, tpm_import(c, &k), "TPM2_Import, once more") ||
        !tpm_ok(c, tpm_load(c, &k), "TPM2_Load, once more")) {
        return;
    }
    tpm_hmac_is_right(c, &k, bytes_of_text("twice"));
}

static bool contains(const uint8_t *bytes, size_t len, const uint8_t *part, size_t part_len)
{
    for (size_t i = 0; i + part_len <= len; i++) {
        if (memcmp(bytes + i, part, part_len) == 0) {
            return true;
        }
    }
    return false;
}

static void wrapped_hides_key(struct conformance *c)
{
    struct tpm_wrapped k;
    if (!imported(c, &k)) {
        return;
    }
    conformance_check(c, !contains(k.private_2b, k.private_len, k.key, 8),
                      "outPrivate holds the key in clear");
    conformance_check(c, !contains(k.private_2b, k.private_len, k.seed_value, 8),
                      "outPrivate holds seedValue in clear");
    conformance_check(c, k.private_len <= DPS_WRAPPED_KEY_MAX,
                      "outPrivate has %zu bytes, more than the %d of a device's record", k.private_len,
                      DPS_WRAPPED_KEY_MAX);
}

/* ---- What must not come out again ---- */

static void not_unsealed(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct tpm_wrapped k;
    struct bytes data;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    if (!tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_UNSEAL)) {
        conformance_note(c, "this TPM has no TPM2_Unseal");
        return;
    }
    tpm2_unseal_build(tpm_begin(c), k.handle, &auth);
    int error = tpm2_unseal_parse(tpm_send(c), &t->rc, &data);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_ATTRIBUTES, TPM2_RC_TYPE), "TPM2_Unseal of the HMAC key");
}

#define CC_DUPLICATE 0x0000014B

static void not_duplicated(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    struct bytes_writer *w = tpm_begin(c);
    bytes_write_u16(w, TPM2_ST_SESSIONS);
    bytes_write_u32(w, 10 + 4 + 4 + 13 + 2 + 2);
    bytes_write_u32(w, CC_DUPLICATE);
    bytes_write_u32(w, k.handle);
    bytes_write_u32(w, TPM2_RH_NULL); /* newParentHandle: no outer wrap */
    tpm2_auth_area_write(w, &auth, 1);
    bytes_write_u16(w, 0); /* encryptionKeyIn */
    bytes_write_u16(w, TPM2_ALG_NULL);
    struct bytes_reader r = bytes_reader_over(tpm_send(c));
    bytes_skip(&r, 6);
    t->rc = bytes_read_u32(&r);
    tpm_refused(c, t->rc == 0 ? 0 : BYTES_E_TPM_RC,
                TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_AUTH_TYPE, TPM2_RC_POLICY_FAIL,
                          TPM2_RC_ATTRIBUTES, TPM2_RC_COMMAND_CODE),
                "TPM2_Duplicate of the HMAC key");
}

const struct conformance_case tpm_cases_import[] = {
    {"TPM-S07-040", "The HMAC key of the flow must be imported, loaded, have its Name, and sign.",
     "spec-notes: The activation blob", CONFORMANCE_MUST, 0, brings_in},
    {"TPM-S07-041", "noDA, encryptedDuplication, adminWithPolicy and stClear should make no difference.",
     "TPM 2.0 Part 3 r1.59 13.3", CONFORMANCE_SHOULD, 0, attribute_variations},
    {"TPM-S07-042", "Keys of up to 64 bytes, the block size of SHA-256, should be accepted.",
     "TPM 2.0 Part 1 r1.59 27.5.3", CONFORMANCE_SHOULD, 0, key_sizes},
    {"TPM-S07-043", "The same duplicate must be importable any number of times.", "TPM 2.0 Part 3 r1.59 13.3",
     CONFORMANCE_MUST, 0, imports_twice},
    {"TPM-S07-044", "What TPM2_Import returns must not show the key, and must fit into the device's record.",
     "spec-notes: A guest in the TPM", CONFORMANCE_MUST, 0, wrapped_hides_key},
    {"TPM-S07-045", "TPM2_Unseal must not give the HMAC key out.", "TPM 2.0 Part 3 r1.59 12.7",
     CONFORMANCE_MUST, 0, not_unsealed},
    {"TPM-S07-046", "TPM2_Duplicate must not give the HMAC key out.", "TPM 2.0 Part 3 r1.59 13.1",
     CONFORMANCE_MUST, 0, not_duplicated},
    {0},
};

/* ---- What must be refused, because of what the key claims to be ---- */

/* A key on its way into a TPM that accepts keys. */
static bool wrapped(struct conformance *c, struct tpm_wrapped *k, bool keep_unique)
{
    return tpm_takes_keys(c) && tpm_wrap(c, k, keep_unique);
}

static void attributes_refused(struct conformance *c, const uint32_t *attributes, size_t count,
                               const uint32_t *codes, const char *what)
{
    for (size_t i = 0; i < count && !c->failed; i++) {
        struct tpm_wrapped k;
        tpm_new_key(c, &k);
        k.area.attributes = attributes[i];
        if (wrapped(c, &k, false)) {
            tpm_refused(c, tpm_import(c, &k), codes, what);
        }
    }
}

static void fixed(struct conformance *c)
{
    static const uint32_t attributes[] = {
        KEY_ATTRIBUTES | TPM2_OBJECT_FIXED_TPM,
        KEY_ATTRIBUTES | TPM2_OBJECT_FIXED_PARENT,
        KEY_ATTRIBUTES | TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT,
    };
    attributes_refused(c, attributes, 3, TPM_CODES(TPM2_RC_ATTRIBUTES), "fixedTPM or fixedParent");
}

static void no_signing(struct conformance *c)
{
    static const uint32_t attributes[] = {KEY_ATTRIBUTES & ~(uint32_t)TPM2_OBJECT_SIGN_ENCRYPT};
    attributes_refused(c, attributes, 1, TPM_CODES(TPM2_RC_SCHEME, TPM2_RC_ATTRIBUTES),
                       "scheme HMAC without sign");
}

static void sign_and_decrypt(struct conformance *c)
{
    static const uint32_t attributes[] = {KEY_ATTRIBUTES | TPM2_OBJECT_DECRYPT};
    attributes_refused(c, attributes, 1, TPM_CODES(TPM2_RC_SCHEME, TPM2_RC_ATTRIBUTES), "sign and decrypt");
}

static void hmac_needs(struct conformance *c, uint32_t attributes, const uint32_t *codes, const char *what)
{
    struct tpm_wrapped k;
    struct bytes mac;
    tpm_new_key(c, &k);
    k.area.attributes = attributes;
    if (!wrapped(c, &k, false)) {
        return;
    }
    int error = tpm_import(c, &k);
    if (error == 0) {
        error = tpm_load(c, &k);
    }
    if (error == 0) {
        error = tpm_hmac(c, k.handle, bytes_of_text("no"), &mac);
    }
    tpm_refused(c, error, codes, what);
}

static void no_user(struct conformance *c)
{
    hmac_needs(c, KEY_ATTRIBUTES & ~(uint32_t)TPM2_OBJECT_USER_WITH_AUTH,
               TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_ATTRIBUTES, TPM2_RC_AUTH_TYPE),
               "TPM2_HMAC without userWithAuth");
}

static void restricted(struct conformance *c)
{
    hmac_needs(c, KEY_ATTRIBUTES | TPM2_OBJECT_RESTRICTED, TPM_CODES(TPM2_RC_ATTRIBUTES, TPM2_RC_SCHEME),
               "TPM2_HMAC with a restricted key");
}

static void unique_wrong(struct conformance *c)
{
    for (int i = 0; i < 3 && !c->failed; i++) {
        struct tpm_wrapped k;
        tpm_new_key(c, &k);
        if (i == 1) {
            k.area.unique.len = 0;
        }
        if (i == 2) { /* the other way round: key and then seedValue */
            const struct bytes pieces[] = {bytes_of(k.key, 32), bytes_of(k.seed_value, 32)};
            crypto_sha256(pieces, 2, k.unique);
        }
        if (wrapped(c, &k, true)) {
            tpm_refused(c, tpm_import(c, &k), TPM_CODES(TPM2_RC_BINDING, TPM2_RC_KEY),
                        i == 0   ? "unique of zeros"
                        : i == 1 ? "an empty unique"
                                 : "unique of key and seedValue in the wrong order");
        }
    }
}

static void seed_value_sizes(struct conformance *c)
{
    static const size_t sizes[] = {0, 16, 31};
    for (size_t i = 0; i < COUNT(sizes) && !c->failed; i++) {
        struct tpm_wrapped k;
        tpm_new_key(c, &k);
        k.seed_value_len = sizes[i];
        if (wrapped(c, &k, false)) {
            tpm_refused(c, tpm_import(c, &k),
                        TPM_CODES(TPM2_RC_KEY_SIZE, TPM2_RC_SIZE, TPM2_RC_BINDING, TPM2_RC_KEY),
                        "a seedValue that is shorter than a digest");
        }
    }
}

/* ---- ... or because somebody has changed it on its way ---- */

static void each_byte(struct conformance *c, bool of_secret, size_t from, size_t to, size_t step,
                      const uint32_t *codes, const char *what)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    uint8_t *bytes = of_secret ? k.secret : k.duplicate;
    for (size_t i = from; i < to && !c->failed; i += step) {
        bytes[i] ^= (uint8_t)(1U << (i % 8));
        tpm_refused(c, tpm_import(c, &k), codes, what);
        bytes[i] ^= (uint8_t)(1U << (i % 8));
    }
    if (!c->failed) {
        tpm_stands(c, tpm_import(c, &k), "TPM2_Import of the same, unchanged again");
    }
}

static void hmac_changed(struct conformance *c)
{
    each_byte(c, false, 2, 34, 1, integrity, "a changed outer HMAC");
}

static void content_changed(struct conformance *c)
{
    each_byte(c, false, 34, 142, 5, integrity, "a changed duplicate");
}

static void seed_changed(struct conformance *c)
{
    each_byte(c, true, 1, 256, 51, garbage, "a changed seed");
}

static void inner_key_wrong(struct conformance *c)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    for (size_t i = 0; i < sizeof k.inner_key && !c->failed; i += 5) {
        k.inner_key[i] ^= 0x80;
        tpm_refused(c, tpm_import(c, &k), garbage, "another inner key");
        k.inner_key[i] ^= 0x80;
    }
}

static void inner_key_sizes(struct conformance *c)
{
    static const size_t sizes[] = {0, 1, 15, 17};
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t inner[17] = {0};
    struct tpm_wrapped k;
    struct bytes private_2b;
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    memcpy(inner, k.inner_key, sizeof k.inner_key);
    for (size_t i = 0; i < COUNT(sizes) && !c->failed; i++) {
        tpm2_import_build(tpm_begin(c), t->srk.handle, &auth, bytes_of(inner, sizes[i]),
                          bytes_of(k.public_2b, k.public_len), bytes_of(k.duplicate, k.duplicate_len),
                          bytes_of(k.secret, k.secret_len));
        int error = tpm2_import_parse(tpm_send(c), &t->rc, &private_2b);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_SIZE, TPM2_RC_VALUE, TPM2_RC_INTEGRITY),
                    "an inner key of the wrong size");
    }
}

static void cut_off(struct conformance *c)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    const size_t whole = k.duplicate_len;
    for (size_t len = 0; len < whole && !c->failed; len += len < 40 ? 1 : 17) {
        k.duplicate_len = len;
        tpm_refused(c, tpm_import(c, &k), garbage, "a duplicate that was cut off");
    }
    k.duplicate_len = whole;
    k.secret_len = 255;
    tpm_refused(c, tpm_import(c, &k), garbage, "a seed that was cut off");
}

/* Another public area has another Name, which is in both HMACs. */
static void public_changed(struct conformance *c)
{
    struct tpm_wrapped k, other;
    tpm_new_key(c, &k);
    tpm_new_key(c, &other);
    if (!wrapped(c, &k, false) || !wrapped(c, &other, false)) {
        return;
    }
    memcpy(k.public_2b, other.public_2b, other.public_len);
    tpm_refused(c, tpm_import(c, &k), integrity, "the public area of another key");
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    k.public_2b[8] ^= 0x04; /* noDA */
    tpm_refused(c, tpm_import(c, &k), integrity, "attributes changed on the way");
}

static void wrong_label(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    static const char identity[] = "IDENTITY";
    uint8_t seed[32], oaep[32];
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!wrapped(c, &k, false)) {
        return;
    }
    struct crypto_rsa_public srk = tpm2_public_rsa(&t->srk.area);
    tpm_random(c, seed, sizeof seed);
    tpm_random(c, oaep, sizeof oaep);
    (void)crypto_rsa_oaep_encrypt(&srk, bytes_of(identity, sizeof identity), oaep,
                                  bytes_of(seed, sizeof seed), k.secret);
    tpm_refused(c, tpm_import(c, &k), garbage, "a seed with the OAEP label of a credential");
}

/* ---- TPM2_Load ---- */

static void load_changed(struct conformance *c)
{
    struct tpm_wrapped k;
    if (!imported(c, &k)) {
        return;
    }
    for (size_t i = 4; i < k.private_len && !c->failed; i += 7) {
        k.private_2b[i] ^= 1;
        int error = tpm_load(c, &k);
        /* After its size the area begins with an HMAC of 32 bytes; then an initial value with a size of its own. */
        tpm_refused(c, error, TPM_CODES(TPM2_RC_INTEGRITY, TPM2_RC_SIZE), "a changed private area");
        k.private_2b[i] ^= 1;
    }
    if (!c->failed) {
        tpm_stands(c, tpm_load(c, &k), "TPM2_Load of the same, unchanged again");
    }
}

static void load_other_public(struct conformance *c)
{
    struct tpm_wrapped k, other;
    if (!imported(c, &k) || !imported(c, &other)) {
        return;
    }
    memcpy(k.public_2b, other.public_2b, other.public_len);
    tpm_refused(c, tpm_load(c, &k), integrity, "the private area of one key with the public area of another");
}

static void load_other_parent(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct tpm_wrapped k;
    struct tpm_key other;
    struct bytes name;
    uint32_t handle;
    struct tpm2_public area = tpm2_template_srk();
    area.attributes &= ~(uint32_t)TPM2_OBJECT_NO_DA;
    tpm_make_room(c);
    const char *before = conformance_stand_on(c, "TPM-S03-003");
    const bool made = imported(c, &k) && tpm_create_primary(c, TPM2_RH_OWNER, area, &other);
    conformance_stand_back(c, before);
    if (!made) {
        return;
    }
    tpm2_load_build(tpm_begin(c), other.handle, &auth, bytes_of(k.private_2b, k.private_len),
                    bytes_of(k.public_2b, k.public_len));
    int error = tpm2_load_parse(tpm_send(c), &t->rc, &handle, &name);
    tpm_remember(c, handle);
    tpm_refused(c, error, integrity, "a key under another parent");
}

const struct conformance_case tpm_cases_refuse[] = {
    {"TPM-S07-060", "A duplicate with fixedTPM or fixedParent must be refused with TPM_RC_ATTRIBUTES.",
     "TPM 2.0 Part 3 r1.59 13.3", CONFORMANCE_MUST, 0, fixed},
    {"TPM-S07-061", "A key with scheme HMAC that may not sign must be refused.",
     "TPM 2.0 Part 2 r1.59 12.2.3.4", CONFORMANCE_MUST, 0, no_signing},
    {"TPM-S07-062", "A key with scheme HMAC that may also decrypt must be refused.",
     "TPM 2.0 Part 2 r1.59 12.2.3.4", CONFORMANCE_MUST, 0, sign_and_decrypt},
    {"TPM-S07-063", "A key without userWithAuth must not be usable with a password.",
     "TPM 2.0 Part 2 r1.59 8.3.3.5", CONFORMANCE_MUST, 0, no_user},
    {"TPM-S07-064", "A restricted key must not sign data given to TPM2_HMAC.", "TPM 2.0 Part 3 r1.59 15.5",
     CONFORMANCE_MUST, 0, restricted},
    {"TPM-S07-065", "A duplicate whose unique is not SHA-256 of seedValue and key must be refused.",
     "TPM 2.0 Part 1 r1.59 27.5.3", CONFORMANCE_MUST, 0, unique_wrong},
    {"TPM-S07-066", "A seedValue shorter than a digest should be refused.", "TPM 2.0 Part 1 r1.59 27.5.3",
     CONFORMANCE_SHOULD, 0, seed_value_sizes},
    {"TPM-S07-070", "A change of any byte of the outer HMAC must be noticed.",
     "TPM 2.0 Part 1 r1.59 23.3.2.3", CONFORMANCE_MUST, 0, hmac_changed},
    {"TPM-S07-071", "A change of any byte of the encrypted duplicate must be noticed.",
     "TPM 2.0 Part 1 r1.59 23.3.2.3", CONFORMANCE_MUST, 0, content_changed},
    {"TPM-S07-072", "A seed that was changed must be refused.", "TPM 2.0 Part 1 r1.59 23.3.2.3",
     CONFORMANCE_MUST, 0, seed_changed},
    {"TPM-S07-073", "An inner key other than that of the inner wrap must be refused.",
     "TPM 2.0 Part 1 r1.59 23.3.2.2", CONFORMANCE_MUST, 0, inner_key_wrong},
    {"TPM-S07-074", "An inner key that is not an AES-128 key must be refused.", "TPM 2.0 Part 3 r1.59 13.3",
     CONFORMANCE_MUST, 0, inner_key_sizes},
    {"TPM-S07-075", "A duplicate or seed that was cut off must be refused.", "TPM 2.0 Part 3 r1.59 13.3",
     CONFORMANCE_MUST, 0, cut_off},
    {"TPM-S07-076", "A public area other than the wrapped one must be refused with TPM_RC_INTEGRITY.",
     "TPM 2.0 Part 1 r1.59 23.3.2.3", CONFORMANCE_MUST, 0, public_changed},
    {"TPM-S07-077", "A seed must have the OAEP label DUPLICATE.", "TPM 2.0 Part 1 r1.59 23.3.2.3 and B.4",
     CONFORMANCE_MUST, 0, wrong_label},
    {"TPM-S07-080", "TPM2_Load must refuse a private area that was changed.", "TPM 2.0 Part 3 r1.59 12.2",
     CONFORMANCE_MUST, 0, load_changed},
    {"TPM-S07-081", "TPM2_Load must refuse a public area that does not belong to the private one.",
     "TPM 2.0 Part 3 r1.59 12.2", CONFORMANCE_MUST, 0, load_other_public},
    {"TPM-S07-082", "TPM2_Load must refuse a key under another parent than its own.",
     "TPM 2.0 Part 3 r1.59 12.2", CONFORMANCE_MUST, 0, load_other_parent},
    {0},
};
