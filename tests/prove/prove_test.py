# SPDX-License-Identifier: MIT
"""Proves that the parsers have no run-time error, with Frama-C (WP, RTE and EVA), and prints what was proved. Every
goal must be proved, every smoke test pass, and every mutant lose a goal."""
import dataclasses
import os
import pathlib
import re
import resource
import subprocess
import time
from functools import partial

import table
from tap import Programs, check, note, same

# WP waits between goals: three for each processor.
JOBS = 6
HERE = pathlib.Path("tests/prove")
BUILD = pathlib.Path(Programs.path("prove"))

# A verdict may not depend on how busy the machine is: steps end a prover, and the time is there to find what hangs. The
# hardest goal takes 820 000 steps, 25 seconds of an idle machine. Contradictions are found in the first steps, or not.
STEPS = 1200000
SMOKE_STEPS = 20000
# So many show that a goal is lost, of those that need no more in the source as it is: nearly all. Harder ones are lost
# if the mistake makes them need half as much again.
MUTANT_STEPS = 40000
HARDER = 1.5
SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Source:
    path: str
    contracts: str
    # Functions about which nothing is claimed. Their callees' contracts say what they rely on.
    left_out: tuple = ()
    # Claimed are these only.
    only: tuple = ()
    # What it says about bits needs WP's simplifications.
    bits: bool = False


@dataclasses.dataclass(frozen=True)
class Open:
    """A goal that has no proof, and why it is true all the same."""
    path: str
    goal: str
    why: str


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mistake in one function: `before` occurs once in the source; with `after` some goal must fail."""
    path: str
    function: str
    before: str
    after: str


SOURCES = (
    Source("crypto/bytes/bytes.c", "bytes.acsl"),
    Source("tests/prove/inverse.c", "bytes.acsl"),
    Source("tpm/rc.c", "tpm.acsl", bits=True),
    Source("tpm/auth.c", "tpm.acsl"),
    Source("tpm/frame.c", "tpm.acsl"),
    Source("tpm/public.c", "tpm.acsl"),
    Source("tpm/command.c", "tpm.acsl"),
    Source("tpm/seed.c", "tpm.acsl"),
    Source("tpm/protect.c", "tpm.acsl"),
    Source("tpm/session.c", "tpm.acsl"),
    Source("dps/protocol/text.c", "dps_text.acsl"),
    Source("dps/protocol/registration_id.c", "dps_names.acsl"),
    Source("dps/protocol/date.c", "dps_names.acsl"),
    Source("dps/protocol/sas.c", "dps_names.acsl"),
    Source("dps/protocol/activation.c", "dps_activation.acsl"),
    Source("dps/protocol/json.c", "dps_json.acsl"),
    Source("dps/protocol/http_field.c", "dps_http.acsl"),
    Source("dps/protocol/http.c", "dps_http.acsl"),
    Source("dps/protocol/http_message.c", "dps_http.acsl"),
    Source("dps/protocol/mqtt_part.c", "dps_mqtt.acsl"),
    Source("dps/protocol/mqtt.c", "dps_mqtt.acsl"),
    Source("dps/protocol/websocket.c", "dps_websocket.acsl"),
    Source("dps/device/record.c", "dps_record.acsl"),
)

EMPTY = "a writer without room may have any address, and all that are made have a buffer's or none"
OPEN = (
    Open("crypto/bytes/bytes.c", "bytes_write_room_assert_rte_pointer_value", EMPTY),
    Open("crypto/bytes/bytes.c", "bytes_written_assert_rte_pointer_value", EMPTY),
    Open("dps/protocol/sas.c", "dps_sas_parse_assert_rte_pointer_value_5",
         "each of the four members is null, or what dps_split has cut off the header"),
)
OPEN_MAX = 3

MUTANTS = (
    Mutant("crypto/bytes/bytes.c", "take", "len > r->left)", "len > r->left + 1)"),
    Mutant("crypto/bytes/bytes.c", "bytes_write_room", "len > w->capacity - w->len",
           "len > w->capacity - w->len + 1"),
    Mutant("crypto/bytes/bytes.c", "bytes_write_size_end", "w->len - begin > UINT16_MAX",
           "w->len - begin > 2 * UINT16_MAX"),
    Mutant("crypto/bytes/bytes.c", "bytes_read_bytes", ".len = p != NULL ? len : 0", ".len = len"),
    Mutant("crypto/bytes/bytes.c", "bytes_equal_secret", "difference | (a[i] ^ b[i])", "a[i] ^ b[i]"),
    Mutant("crypto/bytes/bytes.c", "write_big_endian", "p[--len] = (uint8_t)(value & 0xFF)",
           "p[--len] = (uint8_t)(value & 0x7F)"),
    Mutant("tests/prove/inverse.c", "inverse_u16", "bytes_read_u16(&r)", "bytes_read_u8(&r)"),
    Mutant("tpm/rc.c", "tpm2_rc_decode", "if (rc == TPM2_RC_SUCCESS) {", "if ((rc & RC_VERSION_2) == 0) {"),
    Mutant("tpm/auth.c", "tpm2_auth_area_read", "    bytes_reader_fail(r, bytes_reader_end(r));\n", ""),
    Mutant("tpm/auth.c", "tpm2_auth_area_read", "nonce.len > DIGEST_MAX", "nonce.len > DIGEST_MAX + 1"),
    Mutant("tpm/auth.c", "tpm2_auth_area_read", "hmac.len > DIGEST_MAX", "hmac.len > DIGEST_MAX + 1"),
    Mutant("tpm/frame.c", "tpm2_response_size", "size > limit", "size > limit + 1"),
    Mutant("tpm/frame.c", "tpm2_parse_nothing", "return bytes_reader_end(&r)", "return r.error"),
    Mutant("tpm/public.c", "tpm2_public_modulus_is_sane", "area->key_bits > 0 && ", ""),
    Mutant("tpm/public.c", "tpm2_public_parse_2b", "    bytes_read_sized_end(&r, &inner);\n", ""),
    Mutant("tpm/public.c", "tpm2_name_of", "bytes_writer_over(name, TPM2_NAME_SIZE)",
           "bytes_writer_over(name, CRYPTO_SHA256_SIZE)"),
    Mutant("tpm/command.c", "tpm2_create_parse", "tpm2_response_end(&r, out_private_2b, out_public_2b)",
           "tpm2_response_end(&r, out_private_2b, NULL)"),
    Mutant("tpm/command.c", "tpm2_get_capability_parse", "error == 0 && more_data", "more_data"),
    Mutant("tpm/command.c", "tpm2_policy_or_build", "i < count", "i <= count"),
    Mutant("tpm/seed.c", "key_is_usable", "key->unique.len <= CRYPTO_RSA_MAX", "key->unique.len <= CRYPTO_RSA_MAX + 1"),
    Mutant("tpm/seed.c", "tpm2_seed_wrap", "    if (encrypted == NULL) {\n        return;\n    }\n", ""),
    Mutant("tpm/protect.c", "tpm2_credential_make", "credential.len > TPM2_CREDENTIAL_MAX",
           "credential.len > TPM2_CREDENTIAL_MAX + 1"),
    Mutant("tpm/protect.c", "outer_begin", "outer->content = w->len", "outer->content = outer->mac"),
    Mutant("tpm/session.c", "len_without_zeros", "len > 0 && ", ""),
    Mutant("tpm/session.c", "verify", "nonce_tpm->len != TPM2_NONCE_SIZE || ", ""),
    Mutant("tpm/session.c", "take_apart", "r.error != 0 || ", ""),
    Mutant("dps/protocol/text.c", "dps_write_decimal", "uint8_t digits[20]", "uint8_t digits[19]"),
    Mutant("dps/protocol/text.c", "dps_base64_decode", "text.len / 4 * 3 - padding > capacity",
           "text.len / 4 * 3 - padding > capacity + 1"),
    Mutant("dps/protocol/text.c", "dps_base64_decode", "padding < 2 && padding < text.len", "padding < 2"),
    Mutant("dps/protocol/text.c", "dps_percent_decode", "text.len - i < 3", "text.len - i < 2"),
    Mutant("dps/protocol/text.c", "dps_percent_decode", "total == capacity", "total > capacity"),
    Mutant("dps/protocol/text.c", "dps_hex_decode", "text.len / 2 > capacity", "text.len / 2 > capacity + 1"),
    Mutant("dps/protocol/text.c", "utf8_sequence", "len > text.len - at", "len > text.len - at + 1"),
    Mutant("dps/protocol/text.c", "dps_trim", "to > from", "to >= from"),
    Mutant("dps/protocol/text.c", "dps_decimal_parse", "text.len == 0 || (text.len > 1", "(text.len > 1"),
    Mutant("dps/protocol/registration_id.c", "all_allowed", "id.len == 0 || id.len > max", "id.len > max"),
    Mutant("dps/protocol/registration_id.c", "all_allowed", "id.len > max", "id.len > max + 1"),
    Mutant("dps/protocol/registration_id.c", "dps_host_valid", "i + 1 == host.len || ", ""),
    Mutant("dps/protocol/date.c", "has_date_form", "text.len != sizeof form - 1", "text.len > sizeof form - 1"),
    Mutant("dps/protocol/date.c", "dps_http_date_parse", "year < 1970 || ", ""),
    Mutant("dps/protocol/date.c", "dps_http_date_parse", " || day == 0", ""),
    Mutant("dps/protocol/sas.c", "write_signature", "uint8_t base64[44]", "uint8_t base64[43]"),
    Mutant("dps/protocol/sas.c", "dps_sas_parse", "header.len < prefix || ", ""),
    Mutant("dps/protocol/sas.c", "parse_signature", " || len != sizeof bytes", ""),
    Mutant("dps/protocol/activation.c", "dps_activation_parse", "fields.enc_uri = bytes_read_2b(&r)",
           "fields.enc_uri = fields.duplicate"),
    Mutant("dps/protocol/activation.c", "dps_activation_uri", "enc_uri.len / 2 > capacity",
           "enc_uri.len / 2 > capacity + 1"),
    Mutant("dps/protocol/activation.c", "dps_activation_uri", "enc_uri.len % 2 != 0 || ", ""),
    Mutant("dps/protocol/json.c", "skip_value", "n.depth == DPS_JSON_DEPTH_MAX", "n.depth > DPS_JSON_DEPTH_MAX"),
    Mutant("dps/protocol/json.c", "literal_end", "literal.len > text.len - at || ", ""),
    Mutant("dps/protocol/json.c", "dps_json_string", "len > capacity - total", "len > capacity - total + 1"),
    Mutant("dps/protocol/json.c", "code_unit", "digit > 15", "digit > 16"),
    Mutant("dps/protocol/json.c", "string_raw", " || value.len < 2", ""),
    Mutant("dps/protocol/http_field.c", "dps_http_field_parse", "name_len == line.len || ", ""),
    Mutant("dps/protocol/http.c", "raw_line", "i - 1 - h->raw_at", "i - h->raw_at"),
    Mutant("dps/protocol/http.c", "find_head_end", "i >= DPS_HTTP_HEAD_MAX", "i > DPS_HTTP_HEAD_MAX"),
    Mutant("dps/protocol/http.c", "begin_body", "f->length > capacity - h->head_len", "f->length > capacity"),
    Mutant("dps/protocol/http.c", "step_length", "len - h->head_len - h->body_len", "len - h->head_len"),
    Mutant("dps/protocol/http.c", "step_chunk_size", "size > SIZE_MAX / 16", "size > SIZE_MAX / 16 + 1"),
    Mutant("dps/protocol/http.c", "step_chunk_size", "size > capacity - h->head_len - h->body_len",
           "size > capacity - h->head_len"),
    Mutant("dps/protocol/http.c", "step_chunk_end", "have < 2) {", "have < 1) {"),
    Mutant("dps/protocol/http_message.c", "dps_http_path", "path.len - authority.len", "path.len"),
    Mutant("dps/protocol/mqtt.c", "read_length", "i < DPS_MQTT_HEADER_MAX - 1", "i < DPS_MQTT_HEADER_MAX"),
    Mutant("dps/protocol/mqtt.c", "dps_mqtt_packet_read", "if (length > r.left)", "if (length > r.left + 1)"),
    Mutant("dps/protocol/mqtt.c", "dps_mqtt_suback_read", "r.error == 0 && codes_are_right(all)", "r.error == 0"),
    Mutant("dps/protocol/mqtt.c", "dps_mqtt_ack_read", "error == 0 ? id : 0", "id"),
    Mutant("dps/protocol/mqtt_part.c", "dps_mqtt_filter_valid", "last || (text", "(text"),
    Mutant("dps/protocol/mqtt_part.c", "dps_mqtt_plus", "length > DPS_MQTT_REMAINING_MAX || more > room",
           "length > DPS_MQTT_REMAINING_MAX"),
    Mutant("dps/protocol/websocket.c", "length_read", "*len >= LENGTH_IN_16_BITS", "*len >= LENGTH_IN_16_BITS - 1"),
    Mutant("dps/protocol/websocket.c", "length_read", "*len <= INT64_MAX", "*len <= UINT64_MAX"),
    Mutant("dps/protocol/websocket.c", "dps_websocket_header_read", "input.len < 2", "input.len < 1"),
    Mutant("dps/protocol/websocket.c", "dps_websocket_header_read", "input.len < header_len",
           "input.len < header_len - 1"),
    Mutant("dps/protocol/websocket.c", "dps_websocket_accept", "key.len != KEY_BASE64 || ", ""),
    Mutant("dps/device/record.c", "begin", "record.len < sizeof digest", "record.len < sizeof mark"),
    Mutant("dps/device/record.c", "dps_keep_text", "text.len >= size", "text.len > size"),
    Mutant("dps/device/record.c", "dps_keep_bytes", "bytes.len > size", "bytes.len > size + 1"),
    Mutant("dps/device/record.c", "dps_record_ek_name", " || field.len != TPM2_NAME_SIZE", ""),
)

# Frama-C with every check of run-time errors that WP can follow: memory accesses, pointers, signed and unsigned
# overflow, narrowing, shifts, division.
WP = ["frama-c", "-c11", "-machdep", "x86_64", "-kernel-warn-key", "annot-error=abort", "-warn-unsigned-overflow",
      "-warn-unsigned-downcast", "-warn-signed-downcast", "-warn-invalid-pointer", "-wp", "-wp-rte", "-wp-model",
      "Typed+Cast", "-wp-no-filter", "-wp-literals", "-wp-no-volatile", "-wp-prover", "cvc4", "-wp-timeout",
      str(SECONDS), "-wp-par", "1", "-wp-cache", "update"]
# Of branches and of terms without variables: they cost more than they save.
SIMPLIFY_LESS = ["-wp-no-pruning", "-wp-no-ground"]


def within(steps=STEPS):
    return ["-wp-steps", str(steps)]


# What contracts say without a function. WP proves none of it where functions are chosen or left out.
LEMMAS = [*within(), "-wp-prop=@lemma"]
# Whether a contract contradicts itself or a callee's, or makes code unreachable: then everything could be proved.
# What follows a call is code, too, so calls need no tests of their own; nor do run-time errors, which are goals.
SMOKE = [*within(SMOKE_STEPS), "-wp-no-rte", "-wp-smoke-tests", "-wp-no-smoke-dead-call",
         "-wp-smoke-timeout", str(SECONDS),
         "-wp-prop=-@requires,-@ensures,-@assert,-@assigns,-@invariant,-@variant,-@exits"]


def run(command, log):
    """A log is there when it is whole."""
    log.unlink(missing_ok=True)
    part = log.with_suffix(".part")
    with open(part, "w", encoding="utf-8") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False,
                                env=os.environ | {"WHY3CONFIG": str(BUILD / "why3.conf")}).returncode
    part.rename(log)
    return status, pathlib.Path(log).read_text(encoding="utf-8", errors="replace")


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def inline_functions():
    """Those of bytes.h are proved with bytes.c, and not again with each source that includes them."""
    return re.findall(r"^static inline .*?(\w+)\(", pathlib.Path("crypto/bytes/bytes.h").read_text(encoding="utf-8"),
                      re.M)


def log_of(path, *words):
    return BUILD / ".".join([str(path).replace("/", "_"), *words, "log"])


def prove(source, path, what, functions=(), contracts=HERE):
    """Run WP over the file at path. Returns its log."""
    cache = BUILD / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    name = pathlib.Path(source.path).stem
    command = WP + what + ([] if source.bits else SIMPLIFY_LESS) + ["-wp-cache-dir", str(cache),
                           f"-cpp-extra-args=-I. -DPROVE_{name} -include {contracts}/{source.contracts}", str(path)]
    if functions or source.only:
        command += ["-wp-fct", ",".join(functions or source.only)]
    skipped = source.left_out + (() if name == "bytes" else tuple(inline_functions()))
    command += ["-wp-skip-fct", ",".join(skipped)] if skipped and what is not LEMMAS else []
    kind = "smoke" if what is SMOKE else "lemmas" if what is LEMMAS else "goals"
    log = log_of(path, *functions[:1], kind)
    status, text = run(command, log)
    nothing_to_do = what is SMOKE and "No goal generated" in text
    check(status == 0 and ("Proved goals" in text or nothing_to_do), f"Frama-C failed: read {log}")
    return text


def seconds_in(line):
    units = {"s": 1.0, "ms": 0.001}
    return sum(float(n) * units[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ms|s)\b", line))


def goals_of(text):
    """Function → [goals, proved, seconds]; the goals that are not proved."""
    names = sorted(set(re.findall(r"\[rte:annot\] annotating function (\w+)", text)), key=len, reverse=True)
    rows, lost = {}, []
    for line in re.findall(r"^\[wp\] \[.*?\] (?:Goal|Smoke-test) typed_cast_.*$", text, re.M):
        goal = re.search(r"typed_cast_(\w+)", line).group(1)
        name = next((n for n in names if goal.startswith(n + "_")), goal)
        row = rows.setdefault(name, [0, 0, 0.0])
        proved = ": Valid" in line or "[Passed]" in line
        row[0] += 1
        row[1] += proved
        row[2] += seconds_in(line)
        if not proved:
            lost.append(goal)
    return rows, lost


def steps_needed(source):
    """Goal → the steps of its proof in the source without a mistake, which has begun before this."""
    log = log_of(source.path, "goals")
    for _ in range(SECONDS):
        if log.exists():
            break
        time.sleep(1)
    text = log.read_text(encoding="utf-8", errors="replace")
    steps = re.findall(r"Goal typed_cast_(\w+) : Valid .*\((\d+)\)", text)
    check(steps, f"no prover's steps are in {log_of(source.path, 'goals')}")
    return {goal: int(count) for goal, count in steps}


def has_no_error(source):
    before = cpu_seconds()
    text = prove(source, pathlib.Path(source.path), within())
    rows, lost = goals_of(text)
    total = re.search(r"Proved goals:\s+(\d+)\s*/\s*(\d+)", text)
    note(f"{total.group(1)} of {total.group(2)} goals, {cpu_seconds() - before:.0f} s of processor\n")
    note("| function | goals | proved | prover's time |\n|---|---|---|---|")
    for name, (goals, proved, seconds) in sorted(rows.items()):
        note(f"| {name} | {goals} | {proved} | {seconds:.1f} s |")
    for name in source.left_out:
        note(f"| {name} | not claimed | | |")
    known = [o.goal for o in OPEN if o.path == source.path]
    same(sorted(lost), sorted(known), "goals without a proof")
    same(int(total.group(2)) - int(total.group(1)), len(known), "goals without a proof")
    row = table.Row(source.path, len(rows), int(total.group(2)), len(known), sum(r[2] for r in rows.values()))
    row.save(BUILD)
    check(row.is_in_document(),
          f"{table.DOCUMENT} has other figures for {source.path}; if that is meant: make prove-update")


def lemmas_are_proved():
    for contracts in sorted(HERE.glob("*.acsl")):
        lemmas = set(re.findall(r"\blemma (\w+)", contracts.read_text(encoding="utf-8")))
        if lemmas:
            source = next(s for s in SOURCES if s.contracts == contracts.name)
            text = prove(source, pathlib.Path(source.path), LEMMAS)
            same(set(re.findall(r"Goal typed_cast_lemma_(\w+) : Valid", text)), lemmas, f"lemmas of {contracts}")


def has_no_contradiction(source):
    before = cpu_seconds()
    text = prove(source, pathlib.Path(source.path), SMOKE)
    rows, lost = goals_of(text)
    note(f"{sum(r[0] for r in rows.values())} places, {cpu_seconds() - before:.0f} s of processor")
    check(not lost, "contradictions: " + ", ".join(lost))


def contradiction_is_noticed():
    """A contract that promises the impossible fails the smoke tests."""
    directory = BUILD / "mutant" / "contracts"
    directory.mkdir(parents=True, exist_ok=True)
    promise = "/*@ READER NUMBER(2) */"
    for contracts in HERE.glob("*.acsl"):
        text = contracts.read_text(encoding="utf-8").replace('#include "tests/prove/', f'#include "{directory}/')
        if contracts.name == "bytes.acsl":
            same(text.count(promise), 1, f"times that '{promise}' stands in {contracts}")
            text = text.replace(promise, "/*@ READER NUMBER(2) ensures r->left > \\old(r->left); */")
        (directory / contracts.name).write_text(text, encoding="utf-8")
    source = next(s for s in SOURCES if s.path == "tpm/frame.c")
    _, lost = goals_of(prove(source, pathlib.Path(source.path), SMOKE, ("tpm2_response_size",), directory))
    check(lost, "no smoke test fails")
    note(f"{len(lost)} smoke tests fail")


def decode_every_response_code():
    """EVA over all 2^32 values: tpm2_rc_decode is total, and its results are within their ranges."""
    _, text = run(["frama-c", "-c11", "-machdep", "x86_64", "-cpp-extra-args=-I.", "-eva", "-eva-precision", "2",
                   "-warn-unsigned-overflow", "-warn-unsigned-downcast", f"{HERE}/every_rc.c", "tpm/rc.c"],
                  BUILD / "every_rc.log")
    for line in ("  0 alarms generated by the analysis", "  100% of the logical properties"):
        check(line in text, f"it does not say '{line.strip()}': read {BUILD / 'every_rc.log'}")


def loses(mutant):
    before = cpu_seconds()
    source = next(s for s in SOURCES if s.path == mutant.path)
    text = pathlib.Path(mutant.path).read_text(encoding="utf-8")
    same(text.count(mutant.before), 1, f"times that '{mutant.before}' stands in {mutant.path}")
    target = BUILD / "mutant" / mutant.path
    target = target.with_name(f"{target.stem}.{MUTANTS.index(mutant)}.c")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    needed = steps_needed(source)
    _, not_proved = goals_of(prove(source, target, within(MUTANT_STEPS), (mutant.function,)))
    lost = [goal for goal in not_proved if needed.get(goal, 0) <= MUTANT_STEPS]
    if not_proved and not lost:
        steps = int(HARDER * max(needed[goal] for goal in not_proved))
        _, lost = goals_of(prove(source, target, within(steps), (mutant.function,)))
    check(lost, "no goal is lost")
    note(f"{len(lost)} goals are lost, {cpu_seconds() - before:.0f} s of processor")


def few_goals_are_open():
    for o in OPEN:
        note(f"{o.path}, {o.goal}: {o.why}")
    check(len(OPEN) <= OPEN_MAX, f"{len(OPEN)} goals have no proof, and {OPEN_MAX} may")


def every_source_has_a_mutant():
    same([s.path for s in SOURCES if all(m.path != s.path for m in MUTANTS)], [], "sources without a mutant")


def contracts_are_short():
    """At most 0.4 lines for each line of what is proved and of its headers."""
    written = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in HERE.glob("*.acsl"))
    code = 0
    for source in map(pathlib.Path, (s.path for s in SOURCES if not s.path.startswith(str(HERE)))):
        text = source.read_text(encoding="utf-8")
        beside = sum(a.count("\n") + 1 for a in re.findall(r"/\*@.*?\*/", text, re.S))
        header = source.with_suffix(".h")
        written += beside
        code += len(text.splitlines()) - beside
        code += len(header.read_text(encoding="utf-8").splitlines()) if header.exists() else 0
    note(f"{written} lines of contracts for {code} lines of C: {written / code:.2f}")
    check(written <= 0.4 * code, "the contracts are too long")


def tests():
    BUILD.mkdir(parents=True, exist_ok=True)
    # Not in the user's home: a proof needs nothing outside of the build directory, and changes nothing there.
    if not (BUILD / "why3.conf").exists():
        run(["why3", "config", "detect"], BUILD / "why3.log")
    largest_first = sorted(SOURCES, key=lambda s: -os.path.getsize(s.path))
    for source in largest_first:
        yield f"{source.path} has no run-time error", partial(has_no_error, source)
    for source in largest_first:
        yield f"{source.path}: its contracts do not contradict each other", partial(has_no_contradiction, source)
    yield "the lemmas of the contracts are proved", lemmas_are_proved
    yield "tpm2_rc_decode of all 2^32 response codes (EVA): no alarm (tpm/rc.c)", decode_every_response_code
    for mutant in MUTANTS:
        yield (f"{mutant.path}, {mutant.function}: '{mutant.after.strip() or 'nothing'}' for '{mutant.before.strip()}' "
               "loses a goal", partial(loses, mutant))
    yield "a contract that promises the impossible fails the smoke tests", contradiction_is_noticed
    yield f"at most {OPEN_MAX} goals have no proof", few_goals_are_open
    yield "every source has a mutant", every_source_has_a_mutant
    yield "contracts are short", contracts_are_short
