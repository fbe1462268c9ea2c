/* SPDX-License-Identifier: MIT */
/* Who may manage: policies, each with keys and rights, and tokens that are signed with such a key. */
#include "dps/manage/admin_auth.h"
#include "dps/manage/admin_answer.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/request.h"
#include "dps/service/state.h"
#include <string.h>

#define POLICY_KEY_MIN 16
#define POLICY_KEY_MAX 64

/* The rights by the names of the real service. ServiceConfig is the right to change its settings, which here
 * stand in files: known, so that a policy can be copied, and worth nothing. */
static const struct {
    char name[24];
    uint8_t right;
} right_names[] = {
    {"EnrollmentRead", DPS_RIGHT_ENROLLMENT_READ},
    {"EnrollmentWrite", DPS_RIGHT_ENROLLMENT_WRITE},
    {"RegistrationStatusRead", DPS_RIGHT_REGISTRATION_READ},
    {"RegistrationStatusWrite", DPS_RIGHT_REGISTRATION_WRITE},
    {"ServiceConfig", 0},
};

#define RIGHT_COUNT (sizeof right_names / sizeof right_names[0])

static int parse_right(struct bytes value, uint8_t *rights)
{
    for (size_t i = 0; i < RIGHT_COUNT; i++) {
        if (dps_json_string_is(value, right_names[i].name)) {
            *rights |= right_names[i].right;
            return 0;
        }
    }
    return BYTES_E_FORMAT;
}

static int parse_rights(struct bytes policy, uint8_t *rights)
{
    struct bytes list;
    int error = dps_json_member(policy, "rights", &list);
    if (error == BYTES_E_NOT_FOUND) {
        *rights = DPS_RIGHT_ALL;
        return 0;
    }
    if (error != 0 || dps_json_kind(list) != DPS_JSON_ARRAY) {
        return BYTES_E_FORMAT;
    }
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    while (error == 0 && dps_json_next(list, &cursor, &name, &value)) {
        error = parse_right(value, rights);
    }
    return error;
}

/* Returns BYTES_E_NOT_FOUND if the policy has no such key. */
static int parse_key(struct bytes policy, const char *member, uint8_t key[POLICY_KEY_MAX], uint8_t *key_len)
{
    struct bytes value;
    uint8_t base64[(POLICY_KEY_MAX + 2) / 3 * 4];
    size_t len;
    int error = dps_json_member(policy, member, &value);
    if (error != 0) {
        return error;
    }
    error = dps_json_string(value, base64, sizeof base64, &len);
    if (error == 0) {
        error = dps_base64_decode(bytes_of(base64, len), key, POLICY_KEY_MAX, &len);
    }
    bytes_wipe(base64, sizeof base64);
    if (error != 0 || len < POLICY_KEY_MIN) {
        return BYTES_E_FORMAT;
    }
    *key_len = (uint8_t)len;
    return 0;
}

static int parse_policy(struct bytes json, struct dps_policy *policy)
{
    struct bytes name;
    size_t len = 0;
    int error = dps_json_member(json, "name", &name);
    if (error == 0) {
        error = dps_json_string(name, (uint8_t *)policy->name, sizeof policy->name - 1, &len);
    }
    if (error != 0 || len == 0) {
        return BYTES_E_FORMAT;
    }
    if (parse_key(json, "primaryKey", policy->primary_key, &policy->primary_key_len) != 0) {
        return BYTES_E_FORMAT;
    }
    error = parse_key(json, "secondaryKey", policy->secondary_key, &policy->secondary_key_len);
    if (error != 0 && error != BYTES_E_NOT_FOUND) {
        return BYTES_E_FORMAT;
    }
    return parse_rights(json, &policy->rights);
}

static const struct dps_policy *find_policy(const struct dps_policy *policies, size_t count,
                                            struct bytes name)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal_public(bytes_of_text(policies[i].name), name)) {
            return &policies[i];
        }
    }
    return NULL;
}

static int parse_policies(struct bytes list, struct dps_policy policies[DPS_POLICIES_MAX], size_t *count)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    while (dps_json_next(list, &cursor, &name, &value)) {
        if (*count == DPS_POLICIES_MAX) {
            return BYTES_E_LIMIT;
        }
        struct dps_policy *policy = &policies[*count];
        int error = parse_policy(value, policy);
        if (error != 0) {
            return error;
        }
        /* Of two policies with one name only the first would ever be asked. */
        if (find_policy(policies, *count, bytes_of_text(policy->name)) != NULL) {
            return BYTES_E_FORMAT;
        }
        *count += 1;
    }
    return *count > 0 ? 0 : BYTES_E_FORMAT;
}

/* Parsed apart and taken over as a whole: a service that reloads a broken file keeps the policies it had. */
int dps_policies_parse(struct bytes json, struct dps_service_config *config)
{
    struct dps_policy policies[DPS_POLICIES_MAX] = {{.rights = 0}};
    size_t count = 0;
    struct bytes object;
    struct bytes list;
    int error = dps_json_check(json, &object);
    if (error == 0 &&
        (dps_json_member(object, "policies", &list) != 0 || dps_json_kind(list) != DPS_JSON_ARRAY)) {
        error = BYTES_E_FORMAT;
    }
    if (error == 0) {
        error = parse_policies(list, policies, &count);
    }
    if (error == 0) {
        memcpy(config->policies, policies, sizeof policies);
        config->policy_count = count;
    }
    bytes_wipe(policies, sizeof policies);
    return error;
}

/* Two keys are valid at a time, so that one can be exchanged while clients use the other. */
static bool signed_by(const struct dps_sas *sas, const struct dps_policy *policy)
{
    return dps_sas_signed_with(sas, bytes_of(policy->primary_key, policy->primary_key_len)) ||
           (policy->secondary_key_len > 0 &&
            dps_sas_signed_with(sas, bytes_of(policy->secondary_key, policy->secondary_key_len)));
}

static const struct dps_policy *policy_of_token(const struct dps_service_config *config,
                                                const struct dps_sas *sas)
{
    uint8_t name[sizeof config->policies[0].name];
    size_t len;
    if (dps_percent_decode(sas->skn, true, name, sizeof name, &len) != 0) {
        return NULL;
    }
    return find_policy(config->policies, config->policy_count, bytes_of(name, len));
}

/* The audience is the service's host or a path below it that leads to what is asked for, compared segment by
 * segment: "host/enrollments/dev1" is not a prefix of "host/enrollments/dev10". Some clients name the port,
 * which says nothing. */
static bool audience_covers(struct bytes sr, const struct dps_service_config *config,
                            const struct dps_request *q)
{
    uint8_t text[512];
    size_t len;
    struct bytes authority;
    struct bytes host;
    struct bytes segment;
    if (dps_percent_decode(sr, true, text, sizeof text, &len) != 0) {
        return false;
    }
    struct bytes path = dps_split(bytes_of(text, len), '/', &authority);
    (void)dps_split(authority, ':', &host);
    if (!dps_text_equal_nocase(host, bytes_of_text(config->host))) {
        return false;
    }
    for (size_t i = 0; path.len > 0; i++) {
        path = dps_split(path, '/', &segment);
        if (i == q->segment_count || !dps_text_equal_nocase(segment, q->segments[i])) {
            return false;
        }
    }
    return true;
}

static enum dps_refusal refuse_token(struct dps_answer *a, const char *detail)
{
    return dps_admin_refuse(a, DPS_REFUSED_ADMIN_TOKEN, detail);
}

/* The signature comes first: only those who hold a key learn what else is wrong with the token; to others an unknown
 * policy looks like a wrong key. */
enum dps_refusal dps_admin_authorize(const struct dps_service *s, const struct dps_request *q, uint8_t right,
                                     struct dps_answer *a)
{
    struct dps_sas sas;
    if (q->authorization.len == 0) {
        return refuse_token(a, "there is no Authorization header");
    }
    if (dps_sas_parse(q->authorization, &sas) != 0) {
        return refuse_token(a, "Authorization is not SharedAccessSignature with sr, sig, se and skn");
    }
    const struct dps_policy *policy = policy_of_token(s->config, &sas);
    if (policy == NULL || !signed_by(&sas, policy)) {
        return refuse_token(a, "the token is not signed with a key of the policy that its skn names");
    }
    if (!audience_covers(sas.sr, s->config, q)) {
        return refuse_token(a, "sr is neither this host nor a path of it that leads to what is asked for");
    }
    const enum dps_refusal late = dps_token_time(s, &sas, 0);
    if (late != DPS_ACCEPTED) {
        return late == DPS_REFUSED_TOKEN_EXPIRED ? refuse_token(a, "the token has expired") : late;
    }
    if ((policy->rights & right) == right) {
        return DPS_ACCEPTED;
    }
    for (size_t i = 0; i < RIGHT_COUNT; i++) {
        if (right_names[i].right == right) {
            dps_answer_detail(a, right_names[i].name);
        }
    }
    return DPS_REFUSED_ADMIN_RIGHT;
}
