# SPDX-License-Identifier: MIT
"""What a device can do wrong: mistakes in ours, and the cases of dps-conformance --device-listen that find them. The
case TPM-EMPTY is run.py's own: is anything left loaded in the TPM after all others?"""

from mutant import Mutant

MUTANTS = []
# With this mistake a device can do nothing right but refuse a service.
NOTHING_REGISTERS = "DEV-S00-052"


def mutant(name, breaks, file, edits, *caught_by, still_right=""):
    MUTANTS.append(Mutant("device-" + name, breaks, file, tuple(edits), caught_by, still_right))


# ---- Steps 4 and 6: the first request and the challenge --------------------------------------------------------------

mutant("api-version", "requests name no api-version", "dps/device/device.c",
       [("dps_write_text(w, \"?api-version=\" API_VERSION \" HTTP/1.1\\r\\nHost: \");",
         "dps_write_text(w, \" HTTP/1.1\\r\\nHost: \");")], "DEV-S04-002")
mutant("host", "Host does not name the service", "dps/device/device.c",
       [("    dps_write_text(w, host);\n    if (port != 443)",
         "    dps_write_text(w, \"dps\");\n    if (port != 443)")],
       "DEV-S04-003")
mutant("content-type", "the body is called text", "dps/device/device.c",
       [("#define JSON \"application/json; charset=utf-8\"", "#define JSON \"text/plain\"")], "DEV-S04-004")
mutant("ek-without-size", "the EK is sent without its size field", "dps/device/device.c",
       [("dps_write_base64(w, bytes_of(d->ek, d->ek_len));",
         "dps_write_base64(w, bytes_of(d->ek + 2, (size_t)d->ek_len - 2));")], "DEV-S04-006",
       still_right=NOTHING_REGISTERS)
mutant("srk-without-size", "the SRK is sent without its size field", "dps/device/device.c",
       [("dps_write_base64(w, bytes_of(d->srk, d->srk_len));",
         "dps_write_base64(w, bytes_of(d->srk + 2, (size_t)d->srk_len - 2));")], "DEV-S04-007",
       still_right=NOTHING_REGISTERS)
mutant("chunk-overflow", "the size of a chunk may overflow", "dps/protocol/http.c",
       [("        too_large = too_large || size > SIZE_MAX >> 4;\n", "")], "DEV-S00-006")
mutant("chunk-end", "what follows a chunk is not checked", "dps/protocol/http.c",
       [("    if (memcmp(&buffer[h->raw_at], line_end, have) != 0)\n        return BYTES_E_FORMAT;\n",
         "    (void)line_end;\n")], "DEV-S00-008")
mutant("chunks-and-length", "an answer may have both Content-Length and chunks", "dps/protocol/http.c",
       [("if (f->chunked && (f->has_length || f->old))", "if (f->chunked && f->old)")], "DEV-S00-010")
mutant("lengths-differ", "of two Content-Lengths the last one counts", "dps/protocol/http.c",
       [("        if (f->has_length && length != f->length)\n            return BYTES_E_FORMAT;\n", "")], "DEV-S00-011")
mutant("short-body", "a body that is shorter than its Content-Length is taken", "dps/protocol/http.c",
       [("    if (h->error == 0 && closed)\n        h->error = BYTES_E_FORMAT;",
         "    if (h->error == 0 && closed && h->head_len > 0) {\n        h->keep_alive = false;\n"
         "        return BYTES_OK;\n    }")],
       "DEV-S00-016")
mutant("switching", "101 is an interim response like others", "dps/protocol/http.c",
       [("return h->status == 101 ? BYTES_E_FORMAT : BYTES_E_LIMIT;", "return BYTES_E_LIMIT;"),
        ("if (h->status == 101 || h->interim", "if (h->interim")], "DEV-S00-027")
mutant("unasked", "an answer that nobody has asked for is that to the next request", "port/drive.c",
       [("const bool unasked = d->reused && d->net_sent == 0 && spoke_unasked(drive);",
         "const bool unasked = false;\n    (void)spoke_unasked;")], "DEV-S00-031")
mutant("cut-tls", "a body without length is believed although TLS was cut off", "port/drive.c",
       [("if (!orderly && d->net_len > 0) {", "(void)orderly;\n        if (false) {")], "DEV-S00-032")
mutant("chunked-length", "chunks are not understood: the body is what follows", "dps/protocol/http.c",
       [("        f->chunked = true;\n    } else if (is_text(field->name, \"connection\"))",
         "        f->close = true;\n    } else if (is_text(field->name, \"connection\"))")],
       "DEV-S06-001", "DEV-S09-009")
mutant("header-case", "header names are compared with their case", "dps/protocol/http.c",
       [("is_text(field->name, \"content-length\")",
         "bytes_equal_public(field->name, bytes_of_text(\"Content-Length\"))")],
       "DEV-S06-006")
mutant("json-trailing", "text after the JSON is ignored", "dps/protocol/json.c",
       [("    if (skip_space(text, end) != text.len)\n        return BYTES_E_FORMAT;\n", "")], "DEV-S00-039")
mutant("json-doubled", "of two members with one name the last one counts", "dps/protocol/json.c",
       [("        if (found.len != 0)\n            return BYTES_E_FORMAT;\n", "")], "DEV-S07-114", "DEV-S09-140")
mutant("status-ignored", "a refusal is read like an acceptance", "dps/device/device.c",
       [("    } else if (d->http_status != 202) {\n        return refused(d, body);\n    }", "    }")],
       "DEV-S08-030")
mutant("poll-status-ignored", "a refused poll is read like an assignment", "dps/device/device.c",
       [("    if (d->http_status != 200 && d->http_status != 202) {\n        return refused(d, body);\n    }\n"
         "    const int error = read_registration", "    const int error = read_registration")], "DEV-S09-137")

# ---- Whom to talk to -------------------------------------------------------------------------------------------------

FOLLOW = """    struct bytes place;
    if (d->http_status / 100 == 3 && dps_http_header(&d->http, d->net, "Location", &place) == 0) {
        static char host[256];
        struct bytes authority, name;
        uint64_t number = 443;
        (void)dps_split(bytes_of(place.p + 8, place.len - 8), '/', &authority);
        const struct bytes digits = dps_split(authority, ':', &name);
        (void)dps_decimal_parse(digits, 65535, &number);
        memcpy(host, name.p, name.len);
        host[name.len] = 0;
        ((struct dps_device_config *)d->config)->service_host = host;
        ((struct dps_device_config *)d->config)->service_port = (uint16_t)number;
        d->connected = NOBODY;
        (void)build(d);
        return;
    }
    keep_headers(d);
    if (service_busy(d)) {"""

AGAIN = """    error = error != 0 ? error : move_records(drive, CRYPTO_TLS_APP_OUT);
    if (error == BYTES_E_TLS && drive->tls_error == BR_ERR_X509_EXPIRED) {
        close_stream(drive);
        error = p->stream.connect(p->stream.context, host, port, PORT_NET_TIMEOUT_MS);
        drive->open = error == 0;
        if (error == 0) {
            error = crypto_tls_client_start(&drive->tls, drive->trust, host, 1593561600, entropy, drive->io,
                                            sizeof drive->io, false);
        }
        error = error != 0 ? error : move_records(drive, CRYPTO_TLS_APP_OUT);
    }
    return error;"""

mutant("redirect", "a redirection is followed, with the token", "dps/device/engine.c",
       [("    keep_headers(d);\n    if (service_busy(d)) {", FOLLOW)], "DEV-S00-047", "DEV-S00-048", "DEV-S00-049")
mutant("host-name", "the name in the certificate is not looked at", "crypto/tls.c",
       [("br_ssl_client_reset(&c->client, host, resume)", "br_ssl_client_reset(&c->client, NULL, resume)")],
       "DEV-S00-050", still_right="DEV-S00-052")
mutant("expired", "a certificate that has expired is tried again with a clock of 2020", "port/drive.c",
       [("    return error != 0 ? error : move_records(drive, CRYPTO_TLS_APP_OUT);", AGAIN)], "DEV-S00-051",
       still_right="DEV-S00-052")

# ---- Step 7: the key -------------------------------------------------------------------------------------------------

mutant("blob-cut", "a field that is cut off is empty instead of an error", "dps/protocol/activation.c",
       [("const int error = r.error != 0 ? r.error : check_key(a->key_public_2b);",
         "const int error = check_key(a->key_public_2b);")], "DEV-S07-006", "DEV-S07-036")
SIZES = [(f"    a->{name} = bytes_read_2b(&r);\n",
          f"    (void)bytes_read_u16(&r);\n    a->{name} = bytes_read_bytes(&r, {size});\n")
         for name, size in (("id_object", 52), ("encrypted_secret", 256), ("duplicate", 142),
                            ("duplicate_secret", 256))]
mutant("blob-sizes", "the sizes of the blob's fields are taken for granted", "dps/protocol/activation.c", SIZES,
       "DEV-S07-011", "DEV-S07-012", "DEV-S07-013", "DEV-S07-014", "DEV-S07-021", "DEV-S07-024")
mutant("blob-trailing", "bytes after the sixth field are refused", "dps/protocol/activation.c",
       [("const int error = r.error != 0 ? r.error : check_key",
         "const int error = bytes_reader_end(&r) != 0 ? BYTES_E_FORMAT : check_key")], "DEV-S06-011", "DEV-S06-012")
mutant("key-no-da", "a key without noDA is refused", "dps/protocol/activation.c",
       [("(uint32_t)(TPM2_OBJECT_NO_DA | TPM2_OBJECT_ADMIN_WITH_POLICY",
         "(uint32_t)(TPM2_OBJECT_ADMIN_WITH_POLICY")], "DEV-S06-014")
SIGN_ANYWAY = """
static void write_audience(struct dps_device *d, struct bytes_writer *w, bool hub);

static int sign_anyway(struct dps_device *d, int error)
{
    static const uint8_t nothing[32];
    struct bytes_writer sr = bytes_writer_over(d->net, sizeof d->net);
    struct bytes_writer token = bytes_writer_over(d->token, sizeof d->token);
    write_audience(d, &sr, false);
    dps_sas_write_token(&token, bytes_written(&sr), nothing, 4000000000, bytes_of_text(d->key_name));
    d->token_len = (uint16_t)token.len;
    d->rc = 0;
    unsigned row = d->row;
    if (register_flow[row].read != read_inner_key)
        return error;
    while (register_flow[row + 1].read != read_accepted)
        row++;
    return (int)row - (int)d->row;
}

"""
mutant("activation-failure", "it goes on when the TPM refuses the credential", "dps/device/device.c",
       [("    const int error = tpm2_activate_credential_parse(response, &d->rc, &inner_key);\n"
         "    if (error != 0) {\n        return error;",
         "    const int error = tpm2_activate_credential_parse(response, &d->rc, &inner_key);\n"
         "    if (error != 0) {\n        d->rc = 0;\n        return sign_anyway(d, error);"),
        ("static int read_inner_key(struct dps_device *d, struct bytes response)\n{", SIGN_ANYWAY +
         "static int read_inner_key(struct dps_device *d, struct bytes response)\n{")], "DEV-S07-061", "DEV-S07-071")
mutant("inner-key", "the inner key may have any size", "dps/device/device.c",
       [("    if (inner_key.len != DPS_INNER_KEY_SIZE) {\n        return BYTES_E_ALGORITHM;\n    }\n"
         "    memcpy(d->inner_key, inner_key.p, inner_key.len);\n    d->inner_key_len = (uint8_t)inner_key.len;",
         "    memcpy(d->inner_key, inner_key.p, DPS_INNER_KEY_SIZE);\n    d->inner_key_len = DPS_INNER_KEY_SIZE;")],
       "DEV-S07-077", "DEV-S07-079")
mutant("base64-pad", "pad bits of base64 may be anything", "dps/protocol/text.c",
       [("        if ((bits & (UINT32_C(0xFFFFFF) >> (8 * (count - 1)))) != 0)\n"
         "            return BYTES_E_FORMAT;\n", "")],
       "DEV-S07-113")

# ---- Step 8: the token -----------------------------------------------------------------------------------------------

mutant("audience", "the token is for the ID scope", "dps/device/device.c",
       [("    dps_write_text(w, hub ? \"%2Fdevices%2F\" : \"%2Fregistrations%2F\");\n"
         "    dps_write_percent(w, bytes_of_text(hub ? d->device_id : d->registration_id));\n", "")], "DEV-S08-002",
       still_right=NOTHING_REGISTERS)
mutant("signs-decoded", "signed is the audience without its percent-encoding", "dps/device/device.c",
       [("dps_sas_write_string_to_sign(&text, bytes_written(&sr), d->expiry);",
         "size_t plain;\n    (void)dps_percent_decode(bytes_written(&sr), false, d->net, sizeof d->net, &plain);\n"
         "    dps_sas_write_string_to_sign(&text, bytes_of(d->net, plain), d->expiry);")],
       "DEV-S08-003", still_right=NOTHING_REGISTERS)
mutant("expiry", "the token is valid for twelve days", "dps/device/device.c",
       [("#define TOKEN_LIFETIME 3600", "#define TOKEN_LIFETIME 1000000")], "DEV-S08-004")
mutant("skn", "skn is not the challenge's keyName", "dps/device/device.c",
       [("bytes_of_text(hub ? \"\" : d->key_name)", "bytes_of_text(hub ? \"\" : \"primary\")")], "DEV-S08-005")
mutant("skn-raw", "keyName is written into the token as it is", "dps/protocol/sas.c",
       [("        dps_write_percent(w, key_name);", "        bytes_write_bytes(w, key_name);")], "DEV-S07-115")
mutant("challenges-for-ever", "a refused token that comes with a challenge is answered, for ever",
       "dps/device/device.c",
       [("    } else if (d->http_status != 202) {\n        return refused(d, body);\n    }",
         "    } else if (d->http_status == 401) {\n        const int challenge = read_challenge(d, body);\n"
         "        for (d->row = 0; register_flow[d->row + 1].build != build_policy_secret;)\n            d->row++;\n"
         "        return challenge;\n"
         "    } else if (d->http_status != 202) {\n        return refused(d, body);\n    }")], "DEV-S08-021")
mutant("operation-raw", "operationId is written into the path as it is", "dps/device/device.c",
       [("dps_write_percent(w, bytes_of_text(d->operation_id));", "dps_write_text(w, d->operation_id);")],
       "DEV-S08-024", "DEV-S08-025", "DEV-S08-026")

# ---- Waiting ---------------------------------------------------------------------------------------------------------

RETRY_AFTER = "d->retry_after_given = dps_http_header(&d->http, d->net, \"Retry-After\", &value) == 0 &&"
mutant("retry-after", "Retry-After is not looked at", "dps/device/engine.c",
       [(RETRY_AFTER, "d->retry_after_given = true ||")], "DEV-S06-027", "DEV-S09-003")
mutant("retry-at-once", "what is not a number counts as Retry-After: 0", "dps/device/engine.c",
       [("return error == 0 || error == BYTES_E_LIMIT;", "return true;")], "DEV-S00-044", "DEV-S00-045")
mutant("retry-for-ever", "an unavailable service is asked for ever", "dps/device/engine.c",
       [("if (!busy || d->attempts >= NET_ATTEMPTS_MAX) {", "d->attempts = 0;\n    if (!busy) {")],
       "DEV-S00-040", "DEV-S09-138")
mutant("no-retry", "an unavailable service is not asked again", "dps/device/engine.c",
       [("if (!busy || d->attempts >= NET_ATTEMPTS_MAX) {", "if (true) {")], "DEV-S06-025", "DEV-S06-026")
mutant("poll-for-ever", "a service that says \"assigning\" is polled for ever", "dps/device/device.c",
       [("++d->polls < POLLS_MAX ? row_again", "true ? row_again")], "DEV-S09-136")
mutant("poll-once", "a service is polled once", "dps/device/device.c",
       [("++d->polls < POLLS_MAX ? row_again", "false ? row_again")], "DEV-S09-004", still_right="DEV-S09-007")
mutant("reconnect", "a connection that the service closed is not opened again", "dps/device/engine.c",
       [("    if (!d->http.keep_alive) {\n        d->connected = NOBODY;\n    }\n", "    d->reused = false;\n")],
       "DEV-S06-005", "DEV-S09-012")

# ---- Step 9: the assignment ------------------------------------------------------------------------------------------

mutant("hub-name", "the hub's name may be any text", "dps/device/device.c",
       [("!dps_host_valid(bytes_of_text(d->assigned_hub)) ||", "false ||")], "DEV-S09-125", "DEV-S09-127")
mutant("device-id", "the deviceId may be any text", "dps/device/device.c",
       [("!dps_device_id_valid(bytes_of_text(d->device_id)))) {", "false)) {")],
       "DEV-S09-130", "DEV-S09-131")
mutant("failed-assigned", "any status but assigning means assigned", "dps/device/device.c",
       [("if (!status_is(status, \"assigned\")) {", "if (false) {")], "DEV-S09-132", "DEV-S09-133", "DEV-S09-134")
mutant("saves-early", "the state is written before there is an assignment", "dps/device/device.c",
       [("    STEP( 8, SERVICE, \"provisioning, now with the token\",",
         "    STEP( 8, STORAGE, \"the hub's device key\", build_keep, NULL),\n"
         "    STEP( 8, SERVICE, \"provisioning, now with the token\",")], "DEV-S09-102", "DEV-S09-120")
mutant("exit-code", "a registration that failed ends with 0", "port/posix/device/dps-device.c",
       [("return exit_code != 0 ? exit_code : close_code;", "return exit_code == 2 ? exit_code : close_code;")],
       "DEV-S08-020", "DEV-S09-120")

# ---- Step 10: the hub ------------------------------------------------------------------------------------------------

mutant("hub-audience", "the hub token is for the service", "dps/device/device.c",
       [("    dps_write_percent(w, bytes_of_text(hub ? d->assigned_hub : d->config->id_scope));",
         "    dps_write_percent(w, bytes_of_text(hub ? d->config->service_host : d->config->id_scope));")],
       "DEV-S10-001")
mutant("hub-refused", "a refused message counts as sent", "dps/device/device.c",
       [("return d->http_status == 200 || d->http_status == 204 ? ROW_BELOW : refused(d, body);",
         "(void)body;\n    return ROW_BELOW;")],
       "DEV-S10-002")

# ---- What stays in the TPM -------------------------------------------------------------------------------------------

mutant("leak", "nothing is flushed at the end", "dps/device/engine.c",
       [("            tpm2_flush_context_build(&w, d->loaded[i]);\n            d->tpm_len = (uint16_t)w.len;\n"
         "            return;",
         "            return;")], "TPM-EMPTY")
mutant("leak-after-failure", "after a failure nothing is flushed", "dps/device/engine.c",
       [("    d->restarting = false;\n    if (!d->closing) {\n        close_flow(d);",
         "    d->restarting = false;\n    if (!d->closing) {\n        memset(d->loaded, 0, sizeof d->loaded);\n"
         "        close_flow(d);")], "TPM-EMPTY", still_right="DEV-S07-073")
mutant("leak-session", "the policy session stays open", "dps/device/device.c",
       [("    activate(d, w, d->hardened);", "    activate(d, w, true);")], "TPM-EMPTY")
