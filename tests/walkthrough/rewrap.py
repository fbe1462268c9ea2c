# SPDX-License-Identifier: MIT
"""One command too many: TPM2_Rewrap with the standard SRK and with the hardened one, as this run had it."""
import struct

from answers import link, rc_value, refusal, response_name
from chapters import Chapter, plain_table, whole
from derive import HUB, ID, NOW, SCOPE, Derivations, Value, same, sh_hmac, sh_sha256, unhex
from tpmcrypto import cfb_decrypt, hmac, sha256, two

COMMAND_CODE, IMPORT, LOAD, REWRAP = (bytes.fromhex("00000" + code) for code in ("16c", "156", "157", "152"))
OR = bytes.fromhex("00000171")
DEVICE, HERE = "dps/device/device.c:", "tests/walkthrough/walkthrough_rewrap.c:"


def sh_open(key, data, rest):
    return f"{unhex(data)} |\n  openssl enc -d -aes-128-cfb -K {key.hex()} -iv {'0' * 32} |{rest} xxd -p -c 0"


def named(scene, name):
    return [e for e in scene if e.request.name == name]


def opened(prefix, activated, rewrapped, what):
    """Rewrap's output, decrypted with the inner key: the two values, and the key."""
    inner = activated.response.get("certInfo.buffer")
    left = rewrapped.response.get("outDuplicate.buffer")
    plain = cfb_decrypt(inner, left)
    name, key = rewrapped.request.get("name")[2:], plain[-32:]
    same(plain[:34], two(sha256(plain[34:], name)), "inner integrity")
    parts = [("outDuplicate, without its size field", left), ("certInfo: the inner key", inner)]
    return key, [
        Value(prefix + "opened", "outDuplicate, decrypted with the inner key", plain, sh_open(inner, left, ""),
              "It begins with 0020: the inner integrity, a hash of 32 bytes over what follows and the key's Name. It "
              'is right. The <a href="#value-sniff-closed">listener on the bus</a> gets noise with the same inner key, '
              "since for him the outer wrap is still on.",
              "tpm/tools/open.c:read_inner", "P1 r1.59 23.3.2.2", parts),
        Value(prefix + "key", f"{what}, outside the TPM", key, sh_open(inner, left, "\n  tail -c 32 |"),
              "The last 32 bytes are the key itself.", "tpm/tools/open.c:read_inner", "P1 r1.59 23.3.2.2", parts,
              nonce=prefix == "rewrap-")]


def derived(run):
    """The nonce of this challenge as the service derives it: like that of step 6, but of the next generation."""
    names = [two(b"\0\x0b" + sha256(run.by_anchor(anchor).get("outPublic")[2:]))
             for anchor in ("vendor-createprimary-1-response", "owner-createprimary-2-response")]
    drawn = next(e.values["registrationRandom"] for e in run.scenes["register"] if "registrationRandom" in e.values)
    challenge = sha256(struct.pack(">Q", 1), two(drawn), two(run.values["run"]), struct.pack(">Q", NOW // 300))
    parts = [("label", two(b"tpm-dps registration nonce")), ("ID scope", two(SCOPE.encode())),
             ("registration ID", two(ID.encode())), ("Name of the EK", names[0]), ("Name of the SRK", names[1]),
             ("challenge: as in step 6, of generation 1", two(challenge))]
    text, secret = b"".join(data for _, data in parts), run.values["serviceSecret"]
    return Value("rewrap-derived", "The same, as the service derives it", hmac(secret, text), sh_hmac(secret, text),
                 "It is the nonce.", "dps/service/service.c:derive_nonce", "",
                 parts + [("key: the service secret", secret)])


def signed(name, title, token, key, text, why):
    return Value(name, title, Derivations.signature(token, hmac(key, text)), Derivations.sh_sig(key, text), why,
                 "dps/protocol/sas.c:dps_sas_write_token", "", [("string to sign", text), ("key", key)])


def one_command_too_many(run):
    scene = run.scenes["rewrap"]
    activated, rewrapped = named(scene, "TPM2_ActivateCredential"), named(scene, "TPM2_Rewrap")
    put, poll, post = [e for e in scene if e.request.kind == "http-request"]
    at = scene.index
    nonce, first = opened("rewrap-", activated[0], rewrapped[0], "The nonce")
    hub_key, second = opened("rewrap-hub-", activated[1], rewrapped[1], "The hub's device key")
    ours = derived(run)
    same(ours.data, nonce, "the nonce from Rewrap")
    audience = f"{SCOPE}%2Fregistrations%2F{ID}\n{NOW + 3600}".encode()
    telemetry = f"{HUB}%2Fdevices%2F{ID}\n{NOW + 3600}".encode()
    assert put.response.status == 202 and post.response.status == 204
    return Chapter(
        "rewrap", None, "One command too many", "software as root ↔ TPM",
        "Software that controls the device can send the TPM commands of its own. Most give it nothing that it can "
        "carry away. One does, if the TPM has it: TPM2_Rewrap. Whoever may import under a key may also rewrap from "
        "it, and with the standard SRK everybody may who knows its password, which is empty. The outer wrap comes "
        "off; the software has the inner key already, as on every device. The nonce is then in clear, and later so is "
        "the hub's key. From then on others can pose as the device without its TPM, until it registers again.",
        [("html", "<p>This page was made with libtpms, which has the command. About half of the chips have it: AMD's, "
          "Nuvoton's, ST's and Microsoft's; Intel's, and Infineon's SLB 9665 and 9670, do not. A TPM that does not "
          f'list it answers <a href="#value-rc-143">0x143</a>, and this chapter ends with '
          f'{link(named(scene, "TPM2_GetCapability")[0].response, "its first answer")}. '
          "<code>dps-device info</code> says which kind yours is; the service cannot see it.</p>"),
         *whole(scene[:at(put)]),
         ("values", "What is left: the inner wrap", "", [*first, ours]),
         ("values", "A token that no TPM has signed", "", [
             signed("rewrap-sig", "sig, signed by software", put.token, nonce, audience,
                    "As in step 8, but in software. The service cannot tell.")]),
         *whole([put, poll]), *whole(scene[at(poll) + 1:at(post)]),
         ("values", "The hub's device key", "", [
             *second, signed("rewrap-hub-sig", "sig, in the token for the hub", post.token, hub_key, telemetry,
                             "The TPM is no longer needed.")]),
         *whole([post]),
         ("values", "The answer of a TPM that does not have the command", "", [rc_value(0x143)])])


def policy(name, title, code, source, why):
    data = bytes(32) + COMMAND_CODE + code
    return Value(name, title, sha256(data), sh_sha256(data), why, source,
                 "P3 r1.59 23.11", [("zeros", bytes(32)), ("TPM_CC_PolicyCommandCode", COMMAND_CODE), ("code", code)])


def policies(made):
    branches = [policy("policy-import", "A policy for TPM2_Import", IMPORT, DEVICE + "build_policy_import",
                       "The first branch."),
                policy("policy-load", "A policy for TPM2_Load", LOAD, DEVICE + "build_policy_load",
                       "The second branch.")]
    data = bytes(32) + OR + b"".join(b.data for b in branches)
    same(sha256(data), made.response.get("outPublic.publicArea.authPolicy.buffer"), "policy of the hardened SRK")
    whole_policy = Value(
        "policy-hardened", "The hardened SRK's policy", sha256(data), sh_sha256(data),
        "Both branches under one hash. It is in the SRK's template, so it is part of its Name, to which the "
        "challenge is bound.", "tpm/public.c:tpm2_template_srk_hardened", "P3 r1.59 23.6",
        [("zeros", bytes(32)), ("TPM_CC_PolicyOR", OR), *((b.title, b.data) for b in branches)])
    return [*branches, whole_policy,
            policy("policy-rewrap", "A policy for TPM2_Rewrap", REWRAP, HERE + "policy_command_code",
                   "Anybody can have a session with this digest. It is neither of the branches, nor both together.")]


def hardened_srk(run):
    scene = run.scenes["rewrap-hardened"]
    made, = named(scene, "TPM2_CreatePrimary")
    password, other, own = named(scene, "TPM2_Rewrap")
    ors = named(scene, "TPM2_PolicyOR")
    imported, = named(scene, "TPM2_Import")
    demanded, stolen = [e for e in scene if e.request.kind == "http-request"]
    assert imported.response.code == 0 and made.response.find("outPublic.publicArea.objectAttributes").value == 0x30432
    answers = [(password, "the empty password", "The attribute userWithAuth is clear: passwords do not count."),
               (other, "a session for Import", "The session is valid, but for another command."),
               (ors[1], "a session for Rewrap, turned into one for this SRK", "It is not a branch of the list."),
               (own, "a session for Rewrap, unchanged", "Its digest is not the SRK's policy.")]
    rows = [(link(e.request, what),
             f'<a href="#value-rc-{e.response.code:x}">0x{e.response.code:03x} {response_name(e.response)}</a>', why)
            for e, what, why in answers]
    (code, text), (hub_code, _) = refusal(demanded.response), refusal(stolen.response)
    codes = [e.response.code for e, _, _ in answers]
    return Chapter(
        "rewrap-hardened", None, "The same with the hardened SRK", "software as root ↔ TPM",
        "The answer is another SRK. Its template says with which commands it may be used: TPM2_Import or TPM2_Load, "
        "proved in a policy session, and with no password at all. The flow needs no more. For everything else, "
        f"TPM2_Rewrap included, there is no way in. {link(imported.response, 'Import')} goes on as before.",
        [*whole([made]), ("values", "Two commands, and no others", "", policies(made)),
         ("html", plain_table("What could authorize TPM2_Rewrap", ("He tries", "Answer", "Why"), rows)),
         *whole(scene[1:scene.index(demanded)]),
         ("values", "The TPM's answers, decoded", "", [rc_value(c) for c in codes]),
         ("html", "<p>One thing is left to do. The same software can still send the standard SRK, which needs nobody's "
          "consent. So the service must demand the hardened one: <code>dps-admin enroll --srk hardened</code> for one "
          "device, <code>dps-service --require-hardened-srk</code> for all. Then it answers "
          f"{code}: {text}</p>"),
         *whole([demanded]),
         ("html", "<p>The device then registers with the hardened SRK (<code>dps-device register --srk "
          "hardened</code>). Each registration makes another hub key. The one that was stolen above is now "
          f"worthless: {hub_code}.</p>"),
         *whole([stolen])])
