/* SPDX-License-Identifier: MIT */
/* Step 3: the owner and the storage root key. */
#include "tests/conformance/tpm.h"

static void srk_template(struct conformance *c)
{
    const struct tpm_key *srk = tpm_srk(c);
    struct tpm2_public wanted = tpm2_template_srk();
    uint8_t name[TPM2_NAME_SIZE];
    if (srk == NULL) {
        return;
    }
    conformance_check(c, srk->area.attributes == wanted.attributes,
                      "its attributes are 0x%08x instead of 0x%08x", srk->area.attributes, wanted.attributes);
    conformance_check(c, tpm2_public_matches(&srk->area, &wanted) && srk->area.unique.len == 256,
                      "its public area is not that of the template");
    tpm2_name_of(bytes_of(srk->public_2b, srk->public_len), name);
    conformance_check(c, memcmp(name, srk->name, sizeof name) == 0,
                      "its Name is not the SHA-256 of its public area");
}

static void srk_twice(struct conformance *c)
{
    const struct tpm_key *srk = tpm_srk(c);
    struct tpm_key again;
    if (srk != NULL && tpm_create_primary(c, TPM2_RH_OWNER, tpm2_template_srk(), &again)) {
        conformance_check(c, bytes_equal_public(srk->area.unique, again.area.unique),
                          "the same template gave two different keys");
    }
}

static void without_no_da(struct conformance *c)
{
    const struct tpm_key *srk = tpm_srk(c);
    struct tpm_key other;
    struct tpm2_public area = tpm2_template_srk();
    area.attributes &= ~(uint32_t)TPM2_OBJECT_NO_DA;
    if (srk == NULL || !tpm_create_primary(c, TPM2_RH_OWNER, area, &other)) {
        return;
    }
    conformance_check(c, other.area.attributes == area.attributes,
                      "its attributes are 0x%08x instead of 0x%08x", other.area.attributes, area.attributes);
    conformance_check(c, !bytes_equal_public(srk->area.unique, other.area.unique),
                      "two templates gave the same key");
}

static void wrong_authorization(struct conformance *c)
{
    const struct tpm2_public area = tpm2_template_srk();
    tpm_refuse_wrong_password(c, TPM2_RH_OWNER, &area, "TPM2_CreatePrimary with a wrong owner authorization");
}

static void persistent(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes public_2b, name;
    struct tpm2_public area;
    struct tpm2_public wanted = tpm2_template_srk();
    if (!tpm_is_listed(&t->before, TPM2_HANDLE_SRK)) {
        conformance_skip(c, "there is no key at 0x%08x", TPM2_HANDLE_SRK);
        return;
    }
    tpm2_read_public_build(tpm_begin(c), TPM2_HANDLE_SRK);
    int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
    if (error == 0) {
        error = tpm2_public_parse_2b(public_2b, &area);
    }
    if (error == 0) {
        wanted.attributes =
            (wanted.attributes & ~(uint32_t)TPM2_OBJECT_NO_DA) | (area.attributes & TPM2_OBJECT_NO_DA);
    }
    conformance_check(c, error == 0 && tpm2_public_matches(&area, &wanted),
                      "the key at 0x%08x has not the form of an SRK", TPM2_HANDLE_SRK);
}

/* ---- What only --destructive does, and undoes ---- */

static int change_auth(struct conformance *c, uint32_t hierarchy, struct bytes old, struct bytes new)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(old);
    tpm2_hierarchy_change_auth_build(tpm_begin(c), hierarchy, &auth, new);
    return tpm2_hierarchy_change_auth_parse(tpm_send(c), &t->rc);
}

static void new_authorization(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t fresh[32];
    tpm_random(c, fresh, sizeof fresh);
    fresh[sizeof fresh - 1] |= 1; /* trailing zeros would not count */
    struct bytes new = bytes_of(fresh, sizeof fresh);
    if (!tpm_ok(c, change_auth(c, TPM2_RH_OWNER, t->owner, new), "TPM2_HierarchyChangeAuth of the owner")) {
        return;
    }
    int error = change_auth(c, TPM2_RH_OWNER, t->owner, new);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_BAD_AUTH), "the old owner authorization");
    tpm_ok(c, change_auth(c, TPM2_RH_OWNER, new, t->owner), "the new owner authorization");
}

static int evict(struct conformance *c, uint32_t object, uint32_t at)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(t->owner);
    tpm2_evict_control_build(tpm_begin(c), TPM2_RH_OWNER, &auth, object, at);
    return tpm2_evict_control_parse(tpm_send(c), &t->rc);
}

static void make_persistent(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm_key *srk = tpm_srk(c);
    struct bytes public_2b, name;
    uint32_t at = 0x81007D50U;
    while (tpm_is_listed(&t->before, at)) {
        at++;
    }
    if (srk == NULL ||
        !tpm_ok(c, evict(c, srk->handle, at), "TPM2_EvictControl to a free persistent handle")) {
        return;
    }
    tpm2_read_public_build(tpm_begin(c), at);
    int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
    tpm_ok(c, error, "TPM2_ReadPublic of the persistent key");
    conformance_check(c, error != 0 || bytes_equal_public(name, bytes_of(srk->name, sizeof srk->name)),
                      "the persistent key has another Name");
    error = evict(c, srk->handle, at);
    conformance_check(c, error == BYTES_E_TPM_RC && t->rc == TPM2_RC_NV_DEFINED,
                      "a second key for the same handle: %s instead of TPM_RC_NV_DEFINED",
                      error == 0 ? "success" : tpm_rc_text(t->rc));
    tpm_ok(c, evict(c, at, at), "TPM2_EvictControl of the persistent key");
}

const struct conformance_case tpm_cases_owner[] = {
    {"TPM-S03-001",
     "TPM2_CreatePrimary must give an SRK that follows its template, with the Name of its area.",
     "TCG Provisioning Guidance 1.0 r1.0 7.5.1", CONFORMANCE_MUST, 0, srk_template},
    {"TPM-S03-002", "The SRK must be the same each time it is derived under the same owner.",
     "TPM 2.0 Part 1 r1.59 27.6.4", CONFORMANCE_MUST, 0, srk_twice},
    {"TPM-S03-003", "The SRK's template without noDA must give another key.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_MUST, 0, without_no_da},
    {"TPM-S03-004", "A wrong owner authorization must be refused with TPM_RC_BAD_AUTH.",
     "TPM 2.0 Part 1 r1.59 19.4", CONFORMANCE_MUST, 0, wrong_authorization},
    {"TPM-S03-005", "A key at 0x81000001 should have the form of an SRK.",
     "TCG Provisioning Guidance 1.0 r1.0 7.8", CONFORMANCE_SHOULD, 0, persistent},
    {"TPM-S03-006", "A new owner authorization must replace the old one.", "TPM 2.0 Part 3 r1.59 24.8",
     CONFORMANCE_MUST, CONFORMANCE_DESTRUCTIVE, new_authorization},
    {"TPM-S03-007",
     "A key must become persistent only at a free handle, keep its Name, and be evicted again.",
     "TPM 2.0 Part 3 r1.59 28.5", CONFORMANCE_MUST, CONFORMANCE_DESTRUCTIVE, make_persistent},
    {0},
};

/* ---- TPM2_Clear: the next owner. Done once, for all cases about its effects ---- */

static int clear(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(t->lockout);
    tpm2_clear_build(tpm_begin(c), TPM2_RH_LOCKOUT, &auth);
    return tpm2_clear_parse(tpm_send(c), &t->rc);
}

/* Empty authorizations are those of a TPM without an owner; those that the user has given are set again. */
static bool auths_were_empty(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct bytes empty = {NULL, 0};
    int error = change_auth(c, TPM2_RH_OWNER, empty, t->owner);
    error |= change_auth(c, TPM2_RH_ENDORSEMENT, empty, t->endorsement);
    error |= change_auth(c, TPM2_RH_LOCKOUT, empty, t->lockout);
    return error == 0;
}

static struct tpm_result result_of(struct conformance *c, int error)
{
    return (struct tpm_result){.tried = true, .error = error, .rc = tpm_of(c)->rc};
}

/* Forget a key that we keep: TPM2_Clear flushes it. */
static bool forget(struct conformance *c, struct tpm_key *key, uint8_t modulus[256])
{
    if (key->handle == 0 || key->area.unique.len != 256) {
        return false;
    }
    memcpy(modulus, key->area.unique.p, 256);
    if (tpm_flush_raw(c, key->handle) == 0) {
        key->handle = 0;
    }
    return true;
}

/* The next one, kept as the one before was. */
static struct tpm_result derive_again(struct conformance *c, uint32_t hierarchy, struct tpm2_public area,
                                      struct tpm_key *key, const uint8_t modulus[256], bool *same)
{
    struct tpm_result result = result_of(c, tpm_derive(c, hierarchy, area, key));
    *same = result.error == 0 && key->area.unique.len == 256 && memcmp(key->area.unique.p, modulus, 256) == 0;
    if (result.error == 0) {
        tpm_of(c)->loaded_count--;
    } else {
        key->handle = 0;
    }
    return result;
}

static bool persistent_objects_gone(struct conformance *c)
{
    struct tpm_handles now;
    if (!tpm_list_handles(c, &now)) {
        return false;
    }
    for (size_t i = 0; i < now.count; i++) {
        if (now.values[i] >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT &&
            now.values[i] < TPM2_HR_PLATFORM_PERSISTENT) {
            return false;
        }
    }
    return true;
}

/* Once, with whatever exists before and after it: what is missing fails only the case that is about it. */
static void clear_once(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_cleared *r = &t->cleared;
    struct tpm_wrapped old;
    uint8_t ek[256], srk[256];
    tpm_new_key(c, &old);
    r->key_before = tpm_srk(c) != NULL && tpm_wrap(c, &old, false) && tpm_import(c, &old) == 0;
    r->ek_before = tpm_ek(c) != NULL && forget(c, &t->ek, ek);
    r->srk_before = forget(c, &t->srk, srk);
    (void)tpm_list_handles(c, &t->before);
    r->clear = result_of(c, clear(c));
    if (r->clear.error != 0) {
        return;
    }
    r->auths_empty = auths_were_empty(c);
    r->objects_gone = persistent_objects_gone(c);
    r->ek = derive_again(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), &t->ek, ek, &r->ek_same);
    r->srk = derive_again(c, TPM2_RH_OWNER, tpm2_template_srk(), &t->srk, srk, &r->srk_same);
    if (r->key_before && r->srk.error == 0) {
        r->load = result_of(c, tpm_load(c, &old));
    }
}

/* Whether there is a TPM2_Clear at all is judged by the case about what it does to an owner. */
static const struct tpm_cleared *cleared(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    if (!t->cleared.clear.tried) {
        clear_once(c);
    }
    const char *before = conformance_stand_on(c, "TPM-S03-023");
    t->rc = t->cleared.clear.rc;
    bool worked = tpm_ok(c, t->cleared.clear.error, "TPM2_Clear with the lockout authorization");
    conformance_stand_back(c, before);
    return worked ? &t->cleared : NULL;
}

/* There was a key before, and there is one after. */
static bool both(struct conformance *c, bool there, const char *owner, const struct tpm_result *after,
                 const char *what)
{
    const char *before = conformance_stand_on(c, owner);
    (void)conformance_check(c, there, "before TPM2_Clear there was none to compare with");
    conformance_stand_back(c, before);
    tpm_of(c)->rc = after->rc;
    return there && tpm_ok(c, after->error, what);
}

static void clear_keeps_ek(struct conformance *c)
{
    const struct tpm_cleared *r = cleared(c);
    if (r != NULL &&
        both(c, r->ek_before, "TPM-S01-001", &r->ek, "TPM2_CreatePrimary of the EK after TPM2_Clear")) {
        conformance_check(c, r->ek_same, "the EK is another one after TPM2_Clear");
    }
}

static void clear_changes_srk(struct conformance *c)
{
    const struct tpm_cleared *r = cleared(c);
    if (r != NULL &&
        both(c, r->srk_before, "TPM-S03-001", &r->srk, "TPM2_CreatePrimary of the SRK after TPM2_Clear")) {
        conformance_check(c, !r->srk_same, "the SRK is the same one after TPM2_Clear");
    }
}

static void clear_kills_keys(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm_cleared *r = cleared(c);
    if (r == NULL) {
        return;
    }
    const char *before = conformance_stand_on(c, r->key_before ? "TPM-S03-021" : "TPM-S07-040");
    (void)conformance_check(c, r->load.tried, "there is no old key, or no SRK to load it under");
    conformance_stand_back(c, before);
    t->rc = r->load.rc;
    if (r->load.tried) {
        tpm_refused(c, r->load.error, TPM_CODES(TPM2_RC_INTEGRITY), "TPM2_Load of an old owner's key");
    }
}

static void clear_empties(struct conformance *c)
{
    const struct tpm_cleared *r = cleared(c);
    if (r != NULL) {
        conformance_check(c, r->auths_empty, "an authorization is not empty after TPM2_Clear");
        conformance_check(c, r->objects_gone, "a persistent object of the old owner has stayed");
    }
}

const struct conformance_case tpm_cases_clear[] = {
    {"TPM-S03-020", "TPM2_Clear must leave the EK as it is.", "TPM 2.0 Part 3 r1.59 24.6", CONFORMANCE_MUST,
     CONFORMANCE_DESTRUCTIVE, clear_keeps_ek},
    {"TPM-S03-021", "TPM2_Clear must change the SRK.", "TPM 2.0 Part 3 r1.59 24.6", CONFORMANCE_MUST,
     CONFORMANCE_DESTRUCTIVE, clear_changes_srk},
    {"TPM-S03-022",
     "A key wrapped under the SRK from before TPM2_Clear must be refused with TPM_RC_INTEGRITY.",
     "spec-notes: Why it is safe (the next owner)", CONFORMANCE_MUST, CONFORMANCE_DESTRUCTIVE,
     clear_kills_keys},
    {"TPM-S03-023", "TPM2_Clear must empty the authorizations and remove the owner's persistent objects.",
     "TPM 2.0 Part 3 r1.59 24.6", CONFORMANCE_MUST, CONFORMANCE_DESTRUCTIVE, clear_empties},
    {0},
};
