# SPDX-License-Identifier: MIT
"""What a service can do wrong: mistakes in ours, and the cases of dps-conformance --service that find them."""

from mutant import Mutant

MUTANTS = []


def mutant(name, breaks, file, edits, *caught_by, still_right=""):
    MUTANTS.append(Mutant("service-" + name, breaks, file, tuple(edits), caught_by, still_right))


# ---- Step 5: the two keys --------------------------------------------------------------------------------------------

SRK_ATTRIBUTES = "if ((srk->attributes | no_da) != (wanted.attributes | no_da)) {"

mutant("srk-attributes", "an SRK may have any attributes: a software key passes as one", "dps/service/enrollment.c",
       [(SRK_ATTRIBUTES, "if (no_da == 0) {")], "SVC-S05-030", "SVC-S05-031", "SVC-S05-032")
mutant("srk-fixed-tpm", "only fixedTPM counts among an SRK's attributes", "dps/service/enrollment.c",
       [(SRK_ATTRIBUTES, "if ((srk->attributes & TPM2_OBJECT_FIXED_TPM) == 0) {")], "SVC-S05-031",
       still_right="SVC-S05-030")
mutant("srk-no-fixed-tpm", "fixedTPM alone does not count", "dps/service/enrollment.c",
       [("hardened ? 0 : TPM2_OBJECT_NO_DA;",
         "hardened ? 0 : TPM2_OBJECT_NO_DA | TPM2_OBJECT_FIXED_TPM;")], "SVC-S05-030")
mutant("srk-policy", "an SRK may have a policy", "dps/service/enrollment.c",
       [("if (!bytes_equal_public(srk->auth_policy, wanted.auth_policy)) {", "if (false) {")], "SVC-S05-032",
       still_right="SVC-S05-031")
mutant("srk-hardened", "only the attributes of the hardened SRK count", "dps/service/enrollment.c",
       [("if (!bytes_equal_public(srk->auth_policy, wanted.auth_policy)) {",
         "if (!hardened && srk->auth_policy.len != 0) {")], "SVC-S05-037", still_right="SVC-S05-032")
mutant("srk-demand", "the demand for the hardened SRK is stored and not enforced", "dps/service/service.c",
       [("return demanded && !dps_srk_is_hardened(&r->srk) ?", "return demanded && r->srk_len == 0 ?")],
       "SVC-S05-054")
mutant("srk-algorithms", "the SRK's symmetric algorithm and size are not checked", "dps/service/enrollment.c",
       [("        srk->key_bits != wanted.key_bits) {", "        false) {"),
        ("    if (srk->symmetric != wanted.symmetric || srk->symmetric_key_bits != wanted.symmetric_key_bits ||\n"
         "        srk->symmetric_mode != wanted.symmetric_mode || srk->scheme != wanted.scheme ||",
         "    if (")], "SVC-S05-033")
mutant("srk-modulus", "the SRK's modulus may be anything", "dps/service/enrollment.c",
       [("if (!tpm2_public_modulus_is_sane(srk) || !exponent_is_default(srk->exponent)) {", "if (false) {")],
       "SVC-S05-034", "SVC-S05-035")
mutant("ek-any", "the EK is not compared with the enrolled one", "dps/service/service.c",
       [("if (r->ek_len > 0 && !bytes_equal_public(bytes_of(r->ek_bytes, r->ek_len), enrolled)) {", "if (false) {")],
       "SVC-S05-001", "SVC-S05-004", "SVC-S08-023")
mutant("ek-prefix", "only the beginning of the EK is compared", "dps/service/service.c",
       [("if (r->ek_len > 0 && !bytes_equal_public(bytes_of(r->ek_bytes, r->ek_len), enrolled)) {",
         "if (r->ek_len > 0 && memcmp(r->ek_bytes, enrolled.p, 100) != 0) {")], "SVC-S05-004",
       still_right="SVC-S05-001")
mutant("ek-exponent", "an EK with exponent 0 and one with 65537 are two keys", "dps/service/enrollment.c",
       [("    area.exponent = wanted.exponent;\n    if (!tpm2_public_matches(&area, &wanted) ||",
         "    struct tpm2_public as_template = area;\n    as_template.exponent = wanted.exponent;\n"
         "    if (!tpm2_public_matches(&as_template, &wanted) ||")], "SVC-S05-005")
mutant("ek-template", "a key of any attributes can be enrolled as EK", "dps/service/enrollment.c",
       [("if (!tpm2_public_matches(&area, &wanted) || !exponent_is_default(exponent)) {",
         "if (!exponent_is_default(exponent)) {")], "SVC-S05-011", "SVC-S05-012")
mutant("ek-modulus", "a key with an impossible modulus can be enrolled", "dps/service/enrollment.c",
       [("if (!tpm2_public_modulus_is_sane(&area)) {", "if (false) {")], "SVC-S05-013")

# ---- Step 6: the challenge -------------------------------------------------------------------------------------------

mutant("unknown-challenged", "a device that nobody has enrolled gets a challenge", "dps/service/service.c",
       [("        no = dps_load_enrollment(s, id_of(r), &r->enrollment, &version);\n    }",
         "        no = dps_load_enrollment(s, id_of(r), &r->enrollment, &version);\n"
         "        if (no == DPS_REFUSED_UNKNOWN) {\n            no = DPS_ACCEPTED;\n"
         "            r->enrollment.enabled = true;\n            r->enrollment.ek_len = r->ek_len;\n"
         "            memcpy(r->enrollment.ek, r->ek_bytes, r->ek_len);\n        }\n    }")], "SVC-S04-001")
mutant("nonce-same", "a nonce does not change when the device has registered: replay", "dps/service/service.c",
       [("    bytes_write_u64(&w, last->generation);\n"
         "    bytes_write_2b(&w, bytes_of(last->random, last->random_len));\n",
         "    (void)last;\n")], "SVC-S06-010", "SVC-S08-024", "SVC-S08-031")
mutant("nonce-without-srk", "a nonce does not name the SRK", "dps/service/service.c",
       [("    bytes_write_2b(&w, bytes_of(r->srk_name, sizeof r->srk_name));\n", "")], "SVC-S08-022")
mutant("nonce-without-ek", "a nonce does not name the EK", "dps/service/service.c",
       [("    bytes_write_2b(&w, bytes_of(r->ek_name, sizeof r->ek_name));\n", "")], "SVC-S09-032")
mutant("nonce-without-id", "a nonce does not name the device", "dps/service/service.c",
       [("    bytes_write_2b(&w, id_of(r));\n    bytes_write_2b(&w, bytes_of(r->ek_name",
         "    bytes_write_2b(&w, bytes_of(r->ek_name")], "SVC-S06-009", "SVC-S08-021")
mutant("nonce-shown", "the challenge shows the nonce in clear, too", "dps/service/service.c",
       [("\",\\\"unencryptedAuthenticationKey\\\":null,\\\"keyName\\\"",
         "\",\\\"unencryptedAuthenticationKey\\\":\\\"\");\n"
         "    dps_write_base64(&a->body, bytes_of(nonce, sizeof nonce));\n"
         "    dps_write_text(&a->body, \"\\\",\\\"keyName\\\"")], "SVC-S06-002")
mutant("challenge-status", "the challenge has a status, as if it were an error", "dps/service/service.c",
       [("\"{\\\"message\\\":\\\"Authorization required",
         "\"{\\\"status\\\":401,\\\"message\\\":\\\"Authorization required")],
       "SVC-S06-001")
mutant("inner-key-reused", "every blob has the same inner key", "dps/service/service.c",
       [("    dps_activation_make(&w, &r->ek,",
         "    memset(random.inner_key, 7, sizeof random.inner_key);\n    dps_activation_make(&w, &r->ek,")],
       "SVC-S06-008")
mutant("seed-value-reused", "every key has the same seedValue", "dps/service/service.c",
       [("    dps_activation_make(&w, &r->ek,",
         "    memset(random.seed_value, 7, sizeof random.seed_value);\n    dps_activation_make(&w, &r->ek,")],
       "SVC-S06-008")
mutant("seed-reused", "every credential has the same seed", "dps/service/service.c",
       [("    dps_activation_make(&w, &r->ek,",
         "    memset(&random.credential, 7, sizeof random.credential);\n    dps_activation_make(&w, &r->ek,")],
       "SVC-S06-008")
mutant("oaep-label", "the OAEP label of the credential lacks its zero byte", "tpm/seed.c",
       [("bytes_of(identity, sizeof identity)", "bytes_of(identity, sizeof identity - 1)")],
       "SVC-S06-005", still_right="SVC-S04-001")
mutant("oaep-label-duplicate", "the OAEP label of the wrapped key lacks its zero byte", "tpm/seed.c",
       [("bytes_of(duplicate, sizeof duplicate)", "bytes_of(duplicate, sizeof duplicate - 1)")],
       "SVC-S06-005", still_right="SVC-S04-001")
mutant("credential-name", "the credential is for the Name of the HMAC key instead of the SRK's",
       "dps/service/activation_make.c",
       [("inner_key, bytes_of(srk_name, TPM2_NAME_SIZE), &random->credential",
         "inner_key, bytes_of(name, TPM2_NAME_SIZE), &random->credential")],
       "SVC-S06-005", still_right="SVC-S04-001")
mutant("no-inner-wrap", "the wrapped key has no inner wrap", "tpm/protect.c",
       [("    bytes_writer_fail(w, crypto_aes_cfb_encrypt(inner_key, NULL, outer.content, outer.content_len));\n", "")],
       "SVC-S06-005", still_right="SVC-S04-001")
mutant("key-decrypts", "the key may decrypt as well as sign", "tpm/public.c",
       [("TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_SIGN_ENCRYPT,",
         "TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_SIGN_ENCRYPT | TPM2_OBJECT_DECRYPT,")],
       "SVC-S06-006", still_right="SVC-S04-001")
mutant("uri-byte-order", "encUriData is UTF-16 in the other byte order", "dps/service/activation_make.c",
       [("            bytes_write_u8(w, parts[part].p[i]);\n            bytes_write_u8(w, 0);",
         "            bytes_write_u8(w, 0);\n            bytes_write_u8(w, parts[part].p[i]);")],
       "SVC-S06-007", "SVC-S09-005")
mutant("uri-clear", "encUriData is not encrypted", "dps/service/activation_make.c",
       [("crypto_aes_cfb_encrypt(inner_key, NULL, w->p + begin, w->len - begin)", "0")], "SVC-S06-007")
mutant("rate", "challenges are not limited", "dps/service/service.c",
       [("no = ration_challenge(s, r, a);", "(void)ration_challenge;")], "SVC-S00-037")
mutant("retry-after", "429 comes without Retry-After", "dps/service/memory.c",
       [("    a->has_retry_after = wait > 0;\n", "")],
       "SVC-S00-037")

# ---- Step 8: the token -----------------------------------------------------------------------------------------------

mutant("token-audience", "the token's audience is not looked at", "dps/service/service.c",
       [("    if (!audience_is_right(s, r)) {\n        return DPS_REFUSED_TOKEN_AUDIENCE;\n    }\n"
         "    enum dps_refusal no = dps_token_time", "    enum dps_refusal no = dps_token_time")], "SVC-S08-010")
mutant("token-expiry", "the token's expiry is not looked at", "dps/service/service.c",
       [("enum dps_refusal no = dps_token_time(s, &r->token, 0);", "enum dps_refusal no = DPS_ACCEPTED;")],
       "SVC-S08-011")
mutant("token-no-skew", "a clock that is a minute late is too late", "dps/service/request.c",
       [("if (token->expiry + DPS_CLOCK_SKEW + grace < s->now) {", "if (token->expiry + grace < s->now) {")],
       "SVC-S08-004")
mutant("token-signature", "the last byte of the token's signature does not count", "dps/protocol/sas.c",
       [("bytes_equal_secret(mac, sas->signature, sizeof mac)",
         "bytes_equal_secret(mac, sas->signature, sizeof mac - 1)")],
       "SVC-S08-013")
mutant("token-decoded", "the decoded audience is signed instead of sr as it is", "dps/protocol/sas.c",
       [("    const struct bytes text[3] = {sas->sr, bytes_of(\"\\n\", 1), sas->se};",
         "    uint8_t decoded[512];\n    size_t len = 0;\n"
         "    (void)dps_percent_decode(sas->sr, false, decoded, sizeof decoded, &len);\n"
         "    const struct bytes text[3] = {bytes_of(decoded, len), bytes_of(\"\\n\", 1), sas->se};")],
       "SVC-S08-001", still_right="SVC-S04-001")
mutant("token-doubled", "a member of the token may occur twice", "dps/protocol/sas.c",
       [("if (member->p != NULL || value.p == NULL) {", "if (value.p == NULL) {")], "SVC-S08-012")
mutant("token-challenged", "a bad token is answered with another challenge", "dps/service/service.c",
       [("return no != DPS_ACCEPTED ? no : assign(s, r, a);",
         "return no != DPS_ACCEPTED ? challenge(s, r, a) : assign(s, r, a);")], "SVC-S08-010", "SVC-S08-024")
mutant("two-authorizations", "of two Authorization headers the last one counts", "dps/protocol/http_message.c",
       [("    if (count > 1)\n        *value = (struct bytes){NULL, 0};\n"
         "    return count == 0 ? BYTES_E_NOT_FOUND : count == 1 ? BYTES_OK : BYTES_E_FORMAT;",
         "    return count == 0 ? BYTES_E_NOT_FOUND : BYTES_OK;")], "SVC-S08-015")

# ---- Step 4 and HTTP -------------------------------------------------------------------------------------------------

LOOKED_UP = ("    if (no == DPS_ACCEPTED) {\n        no = check_ek(r);\n    }\n"
             "    if (no == DPS_ACCEPTED) {\n"
             "        no = dps_load_registration(s, id_of(r), &r->registration, &r->registration_version);\n    }\n")

mutant("disabled", "a disabled device may register", "dps/service/service.c",
       [("    if (no == DPS_ACCEPTED && !r->enrollment.enabled) {\n        no = DPS_REFUSED_DISABLED;\n    }\n"
         + LOOKED_UP + "    if (no == DPS_ACCEPTED && r->keys_left_out)",
         LOOKED_UP + "    if (no == DPS_ACCEPTED && r->keys_left_out)")], "SVC-S04-003", "SVC-S09-030")
mutant("scope", "the ID scope is not looked at", "dps/service/service.c",
       [("if (!dps_text_equal_nocase(q->segments[0], bytes_of_text(s->config->id_scope))) {", "if (false) {")],
       "SVC-S04-002")
mutant("body-id", "the body may name another device than the path", "dps/service/service.c",
       [("        !dps_text_equal_nocase(bytes_of(text, len), id_of(r))) {", "        false) {")], "SVC-S04-025")
mutant("api-version", "no api-version is needed", "dps/service/request.c",
       [("    if (dps_http_query(q->target, \"api-version\", &version) != 0 || version.len < 10) {",
         "    if (dps_http_query(q->target, \"api-version\", &version) != 0) {\n        return DPS_ACCEPTED;\n    }\n"
         "    if (version.len < 10) {")], "SVC-S00-036")
mutant("json-doubled", "of two members with one name the last one counts", "dps/protocol/json.c",
       [("        if (found.len != 0)\n            return BYTES_E_FORMAT;\n", "")], "SVC-S02-022", "SVC-S04-023")
mutant("json-trailing", "text after the JSON is ignored", "dps/protocol/json.c",
       [("    if (skip_space(text, end) != text.len)\n        return BYTES_E_FORMAT;\n", "")], "SVC-S04-020")
mutant("content-length", "Content-Length of answers is one too small", "dps/service/answer.c",
       [("\"Content-Length\", a->body.len)", "\"Content-Length\", a->body.len - 1)")],
       "SVC-S00-030", "SVC-S02-001", still_right="SVC-S00-001")
mutant("length-and-chunks", "a request may have both Content-Length and chunks", "dps/protocol/http.c",
       [("if (f->chunked && (f->has_length || f->old))", "if (f->chunked && f->old)")], "SVC-S00-020")
mutant("lengths-differ", "of two Content-Lengths the last one counts", "dps/protocol/http.c",
       [("        if (f->has_length && length != f->length)\n            return BYTES_E_FORMAT;\n", "")], "SVC-S00-020")
mutant("host-missing", "a request needs no Host", "dps/protocol/http.c",
       [("if (request && (f->hosts > 1 || (f->hosts == 0 && !f->old)))", "if (request && f->hosts > 1)")],
       "SVC-S00-023")
mutant("path-plus", "a plus sign in a path is read as a space", "dps/service/request.c",
       [("dps_percent_decode(segment, false,", "dps_percent_decode(segment, true,")], "SVC-S10-001")
mutant("error-code-text", "errorCode is text", "dps/service/answer.c",
       [("    dps_write_text(w, \"{\\\"errorCode\\\":\");\n    dps_write_decimal(w, text->code);\n"
         "    dps_write_text(w, \",\\\"trackingId\\\":\\\"\");",
         "    dps_write_text(w, \"{\\\"errorCode\\\":\\\"\");\n    dps_write_decimal(w, text->code);\n"
         "    dps_write_text(w, \"\\\",\\\"trackingId\\\":\\\"\");")], "SVC-S00-032")
mutant("tracking-id", "x-ms-request-id is another one than trackingId", "dps/service/answer.c",
       [("    bytes_write_bytes(w, bytes_of(a->tracking_id, sizeof a->tracking_id));\n"
         "    dps_write_text(w, \"\\\",\\\"message",
         "    a->tracking_id[0] ^= 1;\n    bytes_write_bytes(w, bytes_of(a->tracking_id, sizeof a->tracking_id));\n"
         "    a->tracking_id[0] ^= 1;\n    dps_write_text(w, \"\\\",\\\"message")], "SVC-S00-034")
mutant("close-notify", "connections are closed without close_notify", "port/posix/service/transport.c",
       [("            crypto_tls_close(t->tls);\n", "")], "SVC-S00-004")

# ---- Step 2: management ----------------------------------------------------------------------------------------------

mutant("admin-audience", "the audience of a management token is not looked at", "dps/manage/admin_auth.c",
       [("if (!audience_covers(sas.sr, s->config, q)) {", "if (false) {")], "SVC-S02-040")
mutant("admin-expiry", "the expiry of a management token is not looked at", "dps/manage/admin_auth.c",
       [("late = dps_token_time(s, &sas, 0);", "late = DPS_ACCEPTED;")], "SVC-S02-040")
mutant("admin-signature", "the signature of a management token is not looked at", "dps/manage/admin_auth.c",
       [("if (policy == NULL || !signed_by(&sas, policy)) {", "if (policy == NULL) {")], "SVC-S02-040")
mutant("admin-rights", "every policy may do everything", "dps/manage/admin_auth.c",
       [("if ((policy->rights & right) == right) {", "if (true) {")], "SVC-S02-042")
mutant("etag-ignored", "PUT and DELETE with an old etag succeed", "dps/service/registration.c",
       [("return bytes_equal_public(given, bare_etag(bytes_written(&wanted)));", "return true;")], "SVC-S02-006")
mutant("put-replaces", "PUT without If-Match replaces an enrollment", "dps/manage/admin_enrollment.c",
       [("return version == 0 ? DPS_ACCEPTED : DPS_REFUSED_EXISTS;", "return DPS_ACCEPTED;")], "SVC-S02-004")
mutant("put-creates", "PUT with If-Match creates an enrollment", "dps/manage/admin_enrollment.c",
       [("    if (version == 0) {\n        return DPS_REFUSED_UNKNOWN;\n    }\n    return dps_etag_matches",
         "    if (version == 0) {\n        return DPS_ACCEPTED;\n    }\n    return dps_etag_matches")], "SVC-S02-008")
mutant("page-skips", "a query loses the first enrollment of each further page", "dps/manage/admin_query.c",
       [("            write_continuation(a, last);", "            write_continuation(a, id);")], "SVC-S02-050")
mutant("bulk-many", "a bulk operation may have any number of enrollments", "dps/manage/admin_bulk.c",
       [("if (count == 0 || count > ITEMS_MAX) {", "if (count == 0) {")], "SVC-S02-062")

# ---- Step 9: the assignment ------------------------------------------------------------------------------------------

mutant("operation-anyone", "an operation is shown to any well-formed token", "dps/service/service.c",
       [("? check_proof(s, r) : DPS_REFUSED_OPERATION;",
         "? (check_proof(s, r), DPS_ACCEPTED) : DPS_REFUSED_OPERATION;")], "SVC-S09-020")
mutant("operation-any", "any operationId shows the device's last operation", "dps/service/service.c",
       [("return bytes_equal_public(operation, bytes_written(&w)) ? check_proof(s, r)",
         "return operation.len > 0 ? check_proof(s, r)")], "SVC-S09-021")
mutant("operation-expiry", "a token that expired long ago may poll", "dps/service/service.c",
       [("late = dps_token_time(s, &r->token, POLL_GRACE);", "late = DPS_ACCEPTED;")], "SVC-S09-022")
mutant("disabled-assigned", "a device that was disabled meanwhile still gets its hub key", "dps/service/service.c",
       [("    if (no == DPS_ACCEPTED && !r->enrollment.enabled) {\n        no = DPS_REFUSED_DISABLED;\n    }\n"
         + LOOKED_UP + "    return no", LOOKED_UP + "    return no")], "SVC-S09-033")
mutant("look-up-anyone", "a registration is shown to any well-formed token", "dps/service/service.c",
       [("no = is_registered(r) ? check_proof(s, r) : DPS_REFUSED_UNKNOWN;",
         "no = is_registered(r) ? DPS_ACCEPTED : DPS_REFUSED_UNKNOWN;")], "SVC-S09-041")
mutant("hubs-ignored", "any hub may be enrolled, and the enrollment's hubs are ignored", "dps/service/allocation.c",
       [("        if (!is_candidate(e, config->hubs[i].name)) {", "        (void)is_candidate;\n        if (false) {"),
        ("    return i;\n", "    return i % config->hub_count;\n")], "SVC-S09-013")
mutant("device-id", "the enrollment's deviceId is ignored", "dps/service/service.c",
       [("if (r->enrollment.device_id.len == 0) {", "if (true) {")], "SVC-S09-011")
mutant("generation-restarts", "with its registration a device's count of registrations is deleted",
       "dps/service/records.c",
       [("return dps_registration_parse(bytes_of(s->draft, len), r) == 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;",
         "const int error2 = dps_registration_parse(bytes_of(s->draft, len), r);\n"
         "    r->generation = r->deleted ? 0 : r->generation;\n"
         "    r->random_len = r->deleted ? 0 : r->random_len;\n"
         "    return error2 == 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;")], "SVC-S09-034")
mutant("hub-key-is-nonce", "the hub key is the nonce", "dps/service/service.c",
       [("    a->status = 200;\n    write_operation(s, a, made, \"assigned\");",
         "    derive_nonce(s, &s->config->secrets[s->config->secret_count - 1], r, made->challenge, key);\n"
         "    a->status = 200;\n    write_operation(s, a, made, \"assigned\");")], "SVC-S09-004")
mutant("hub-key-same", "a device that registers again gets the same hub key", "dps/service/service.c",
       [("    bytes_write_u64(&w, r->generation);\n    if (r->random_len > 0) {", "    if (false) {")], "SVC-S09-010",
       "SVC-S10-004")
mutant("hub-key-shared", "all devices of a hub have the same key", "dps/service/service.c",
       [("    bytes_write_2b(&w, bytes_of_text(r->registration_id));\n", ""),
        ("    bytes_write_2b(&w, bytes_of_text(r->device_id));\n", ""),
        ("    if (r->random_len > 0) {", "    if (false) {")], "SVC-S10-002")

# ---- Step 10: the hub ------------------------------------------------------------------------------------------------

mutant("hub-expiry", "the hub does not look at the token's expiry", "dps/service/hub.c",
       [("enum dps_refusal no = dps_token_time(s, &token, 0);", "enum dps_refusal no = DPS_ACCEPTED;")],
       "SVC-S10-003")
mutant("hub-signature", "the hub does not look at the token's signature", "dps/service/hub.c",
       [("const bool good = dps_sas_signed_with(token, bytes_of(key, sizeof key));",
         "const bool good = token != NULL;")],
       "SVC-S10-002")
