# SPDX-License-Identifier: MIT
"""Others' code against ours: tpm2-tools, pytss, swtpm and python3-cryptography open what we wrap and make what we open.

A program that is missing is a failed test. Texts, sizes and most inputs differ from run to run; SEED, in the
environment, repeats those of a run. RSA keys are always new."""

import base64
import functools
import hashlib
import hmac
import os
import random
import time

from oracle_service import SCOPE, FakeService, RealService, make_certificate
from oracle_support import (EK_ATTRIBUTES, EK_POLICY, FIELDS, SOFTWARE_PLAIN, SOFTWARE_STORAGE, SRK_ATTRIBUTES,
                            BlobTool, Swtpm, activate, create_ek, create_srk, endorsement_session, hmac_in_tpm,
                            keys_of, name_of, public_of, rsa_key, run, split_blob)
from oracle_wrap import (check_token, decrypt, encrypt, hmac_key, kdfa, make_blob, modulus_of, oaep, open_blob,
                         open_credential, open_duplicate, sas_text, sas_token, sas_with_key, sensitive_of,
                         software_key)
from tap import Failed, Programs, check, same, seed
from tpm2_pytss import TSS2_Exception, utils
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPMA_OBJECT
from tpm2_pytss.types import TPMT_SYM_DEF_OBJECT

tool = BlobTool(Programs.path("tests/blob_tool"))
rng = random.Random(seed())
TEXT = b"0ne000ABCDE%2Fregistrations%2Fdev1\n1700000000"


@functools.cache
def tpm():
    made = Swtpm(Programs.root)
    Programs.cleanup.callback(made.stop)
    return made


@functools.cache
def tpm_keys():
    return keys_of(tpm())


@functools.cache
def certificate():
    return make_certificate(Programs.root)


@functools.cache
def service():
    made = RealService(Programs.path("dps-service"), Programs.root, *certificate())
    Programs.cleanup.callback(made.close)
    return made


@functools.cache
def software_keys():
    """An EK and an SRK outside any TPM: private key, TPM2B_PUBLIC, PKCS#8."""
    return software_key(EK_ATTRIBUTES, EK_POLICY), software_key(SRK_ATTRIBUTES)


def device(*arguments, status=0):
    return run(Programs.path("dps-device"), "--quiet", "--tpm", tpm().ours, *arguments, status=status).decode()


def write(name, *parts):
    path = os.path.join(Programs.root, name)
    with open(path, "wb") as f:
        f.write(b"".join(parts))
    return path


def read(name):
    with open(os.path.join(Programs.root, name), "rb") as f:
        return f.read()


def random_text(low, high):
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:"
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def refused_with(code, what, action):
    """The TPM has to refuse with this response code."""
    try:
        action()
    except TSS2_Exception as error:
        same(hex(error.rc), hex(code), what)
        return
    raise Failed(f"{what}: the TPM did it")


# ---- Keys ---------------------------------------------------------------------------------------------

def test_ek_of_tpm2_tools():
    """s01 tpm2_createek and dps-device read the same EK, and all agree on its Name"""
    tpm().tool("tpm2_createek", "-G", "rsa", "-c", "ek.ctx", "-u", "ek.pub", cwd=Programs.root)
    tpm().tool("tpm2_readpublic", "-Q", "-c", "ek.ctx", "-n", "ek.name", cwd=Programs.root)
    name = read("ek.name")
    ek = base64.b64decode(device("ek", "--format", "base64").strip(), validate=True)
    same(ek, read("ek.pub"), "EK_pub")
    same(tool.bytes("name", ek)["name"], name, "Name of the EK")
    same(name_of(public_of(ek)), name, "Name of the EK by pytss")
    same(tool.bytes("ek-canonical", base64.b64encode(ek))["ek"], ek, "canonical form")


def test_ek_of_azure_sdks():
    """s01 template azure-sdk gives another EK: the one of an empty unique"""
    ek = base64.b64decode(device("ek", "--ek-template", "azure-sdk", "--format", "base64").strip(), validate=True)
    with tpm().esys() as e:
        same(ek, create_ek(e, unique=b"")[1].marshal(), "EK with an empty unique")
    check(ek != tpm_keys()[0], "the two templates give two keys")


def test_srk_of_tpm2_tools():
    """s03 tpm2_createprimary and dps-device derive the same SRK"""
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
    tpm().tool("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "rsa2048", "-a", attributes,
               "-c", "srk.ctx", cwd=Programs.root)
    tpm().tool("tpm2_readpublic", "-Q", "-c", "srk.ctx", "-o", "srk.pub", "-n", "srk.name", cwd=Programs.root)
    same(read("srk.pub"), tpm_keys()[1], "SRK by pytss")
    names = dict(line.split()[0:3:2] for line in device("own").splitlines() if " Name " in line)
    same(names["SRK"], read("srk.name").hex(), "SRK by dps-device")
    same(tool.bytes("name", read("srk.pub"))["name"], read("srk.name"), "Name of the SRK")


def test_default_registration_id():
    """s04 the default registration ID is base32 of SHA-256 of EK_pub"""
    expected = base64.b32encode(hashlib.sha256(tpm_keys()[0]).digest()).decode().rstrip("=").lower()
    check(expected in device("ek", "--format", "json"), f"{expected} in the enrollment of dps-device ek")


def test_canonical_ek():
    """s02 exponent 65537 and 0 are one EK; PEM is named as such"""
    ek = tpm_keys()[0]
    spelled = public_of(ek)
    spelled.publicArea.parameters.rsaDetail.exponent = 65537
    check(spelled.marshal() != ek, "another spelling")
    same(tool.bytes("ek-canonical", base64.b64encode(spelled.marshal()))["ek"], ek, "canonical form")
    said = tool("ek-canonical", public_of(ek).to_pem(), status=1)
    check("PEM" in "".join(said), f"PEM is recognised: {said}")


# ---- What we wrap, others open ------------------------------------------------------------------------

def our_blob(key, ek, srk, host="hub.example", registration_id="device-1"):
    made = tool.bytes("make", ek, srk, key, host, registration_id, os.urandom(16))
    same(split_blob(made["blob"]), {field: made[field] for field in FIELDS}, "fields of the blob")
    return made


def test_opened_by_tpm2_tools():
    """s07 our blob goes into the TPM by tpm2_activatecredential, tpm2_import, tpm2_load, tpm2_hmac"""
    key = os.urandom(32)
    test_ek_of_tpm2_tools()
    test_srk_of_tpm2_tools()
    blob = our_blob(key, *tpm_keys())
    write("credential", bytes.fromhex("badcc0de00000001"), blob["id_object"], blob["encrypted_secret"])
    for name in ("duplicate", "key_public", "duplicate_secret"):
        write(name, blob[name])
    write("text", TEXT)
    use = functools.partial(tpm().tool, cwd=Programs.root)
    use("tpm2_startauthsession", "--policy-session", "-S", "session.ctx")
    use("tpm2_policysecret", "-Q", "-S", "session.ctx", "-c", "e")
    use("tpm2_activatecredential", "-Q", "-c", "srk.ctx", "-C", "ek.ctx", "-i", "credential", "-o", "inner.key", "-P",
        "session:session.ctx")
    use("tpm2_flushcontext", "session.ctx")
    same(read("inner.key"), blob["inner_key"], "inner key")
    use("tpm2_import", "-C", "srk.ctx", "-i", "duplicate", "-u", "key_public", "-s", "duplicate_secret",
        "-k", "inner.key", "-r", "key.private")
    use("tpm2_load", "-Q", "-C", "srk.ctx", "-u", "key_public", "-r", "key.private", "-c", "key.ctx")
    use("tpm2_hmac", "-c", "key.ctx", "-o", "mac", "text")
    same(read("mac"), hmac.digest(key, TEXT, "sha256"), "HMAC of the TPM")


def test_opened_by_pytss():
    """s07 ten of our blobs go into the TPM by pytss"""
    keys = [os.urandom(32) for _ in range(10)]
    texts = [rng.randbytes(rng.randint(1, 1000)) for _ in keys]
    blobs = [our_blob(key, *tpm_keys())["blob"] for key in keys]
    expected = [hmac.digest(key, text, "sha256") for key, text in zip(keys, texts)]
    same(hmac_in_tpm(tpm(), blobs, texts), expected, "HMACs of the TPM")


def test_opened_by_python():
    """s06 fifty random blobs are opened by the specification alone"""
    (ek, ek_2b, _), (srk, srk_2b, _) = software_keys()
    for _ in range(50):
        key, host, registration_id = rng.randbytes(32), random_text(1, 100), random_text(1, 128)
        made = our_blob(key, ek_2b, srk_2b, host, registration_id)
        opened = open_blob(made["blob"], ek, srk, srk_2b)
        same(opened["key"], key, "key")
        same(opened["inner_key"], made["inner_key"], "inner key")
        same((opened["auth"], len(opened["seed_value"])), (b"", 32), "authValue and size of seedValue")
        same(opened["uri"], f"{host}/{registration_id}"[:103], "encUriData")
        unique = hashlib.sha256(opened["seed_value"] + key).digest()
        same(made["key_public"], hmac_key(key, opened["seed_value"])[0].marshal(), "public area as pytss writes it")
        same(made["key_public"][-32:], unique, "unique")


def test_parts_opened_by_python():
    """s06 credentials and duplicates of every length"""
    (ek, ek_2b, _), (srk, srk_2b, _) = software_keys()
    for size in range(1, 33):
        name, credential = b"\0\x0b" + rng.randbytes(32), rng.randbytes(size)
        made = tool.bytes("credential", ek_2b, name, credential, rng.randbytes(8))
        same(open_credential(ek, name, made["id_object"], made["encrypted_secret"]), credential, "credential")
    for size in range(1, 65):
        inner_key, key, seed_value = rng.randbytes(16), rng.randbytes(size), rng.randbytes(32)
        made = tool.bytes("duplicate", srk_2b, inner_key, key, seed_value, rng.randbytes(8))
        same(open_duplicate(srk, inner_key, made["key_public"], made["duplicate"], made["duplicate_secret"]),
             (b"", seed_value, key), "duplicate")


def test_primitives():
    """KDFa, AES-CFB and RSA-OAEP equal those of python3-cryptography on random inputs"""
    ek, ek_2b, _ = software_keys()[0]
    for size in range(1, 129):
        key, u, v = (rng.randbytes(rng.randint(low, 80)) for low in (1, 0, 0))
        label = random_text(1, 30).encode()
        same(tool.bytes("kdfa", key, label, u, v, bytes([size]))["out"], kdfa(key, label, u, v, size), "KDFa")
    for size in range(0, 80):
        key, data = rng.randbytes(rng.choice((16, 32))), rng.randbytes(size)
        same(tool.bytes("cfb", key, data)["out"], encrypt(key, data), "CFB")
        same(decrypt(key, encrypt(key, data)), data, "CFB both ways")
    for size in (0, 1, 16, 32, 33, 100, 189, 190):
        label, message = rng.randbytes(rng.randint(0, 40)), rng.randbytes(size)
        cipher = tool.bytes("oaep", ek_2b, label, message, rng.randbytes(8))["out"]
        same(ek.decrypt(cipher, oaep(label)), message, "OAEP")
    tool("oaep", ek_2b, b"", bytes(191), b"1", status=1)


# ---- What others wrap, we open ------------------------------------------------------------------------

def test_made_by_pytss():
    """s07 twenty blobs of pytss are opened by our software side"""
    (_, ek_2b, ek_der), (_, srk_2b, srk_der) = software_keys()
    for _ in range(20):
        key, text = rng.randbytes(32), random_text(1, 50) + "/" + random_text(1, 50)
        made = tool.bytes("open", make_blob(ek_2b, srk_2b, key, text), ek_der, srk_der, srk_2b)
        same(made, {"key": key, "uri": text.encode()}, "opened blob")
    other = make_blob(ek_2b, srk_2b, bytes(32), "h/d", srk_name=b"\0\x0b" + bytes(32))
    tool("open", other, ek_der, srk_der, srk_2b, status=1)


def test_made_by_tpm2_tools():
    """s07 a credential of tpm2_makecredential is opened by our software side"""
    (ek, ek_2b, ek_der), (_, srk_2b, srk_der) = software_keys()
    blob = split_blob(make_blob(ek_2b, srk_2b, b"k" * 32, "h/d"))
    inner_key = open_credential(ek, name_of(public_of(srk_2b)), blob["id_object"], blob["encrypted_secret"])
    # -T none: made in software; the secret is the inner key of the blob, so that the rest of it fits.
    run("tpm2_makecredential", "-Q", "-T", "none", "-u", write("software-ek.pub", ek_2b), "-s",
        write("secret", inner_key), "-n", name_of(public_of(srk_2b)).hex(), "-o", "made", cwd=Programs.root)
    made = read("made")
    same(made[:8].hex(), "badcc0de00000001", "head of the file of tpm2_makecredential")
    rest = b"".join(blob[field] for field in FIELDS[2:])
    opened = tool.bytes("open", made[8:] + rest, ek_der, srk_der, srk_2b)
    same(opened, {"key": b"k" * 32, "uri": b"h/d"}, "opened blob")


def fake_service(registration_id, srk_name=None):
    return FakeService(*certificate(), *tpm_keys(), registration_id, srk_name)


def register_with(fake, state, status=0):
    return device("register", "--service", f"https://localhost:{fake.port}", "--ca", certificate()[0],
                  "--scope", SCOPE, "--id", fake.id, "--state", os.path.join(Programs.root, state), status=status)


def test_device_against_fake_service():
    """s04-s10 our device registers with a service made of pytss, and its hub token is right"""
    fake = fake_service("oracle-1")
    try:
        out = register_with(fake, "state-1")
        same(fake.faults, [], "complaints of the service")
        same(fake.seen, ["challenge", "proof", "assigned"], "what the service saw")
        check("oracle-device" in out and "hub.example" in out, f"what the device says: {out}")
        token = device("token", "--state", os.path.join(Programs.root, "state-1")).strip()
        check_token(token, "hub.example/devices/oracle-device", fake.hub_key)
        same(tpm().loaded(), [], "what the device left in the TPM")
    finally:
        fake.close()


def test_device_refuses_other_name():
    """s07 a challenge for another SRK: the TPM refuses, nothing is kept or left behind"""
    fake = fake_service("oracle-2", srk_name=b"\0\x0b" + bytes(32))
    try:
        said = register_with(fake, "state-2", status=3)
        check("ActivateCredential" in said, f"the error names the command: {said}")
        same(fake.faults, [], "complaints of the service")
        same(fake.seen, ["challenge"], "what the service saw")
        check(not os.path.exists(os.path.join(Programs.root, "state-2")), "no state file")
        same(tpm().loaded(), [], "what the device left in the TPM")
    finally:
        fake.close()


# ---- Our service, others' client ----------------------------------------------------------------------

def test_client_of_pytss():
    """s02-s10 a client of pytss registers with our service and reports to the hub"""
    ek, srk = tpm_keys()
    name = "pytss-1"
    service().enroll(name, ek)
    audience, expiry = f"{SCOPE}/registrations/{name}", int(time.time()) + 600
    challenge = service().challenge(name, ek, srk)
    mac = hmac_in_tpm(tpm(), [challenge], [sas_text(audience, expiry)])[0]
    token = sas_token(audience, mac, expiry, "registration")
    status, headers, answer = service().register(name, ek, srk, token)
    same((status, answer["status"]), (202, "assigning"), f"second request: {answer}")
    check(headers.get("Retry-After", "").isdigit(), "Retry-After")
    state = service().poll(name, answer["operationId"], token)
    same((state["assignedHub"], state["deviceId"], state["substatus"]), (RealService.HUB, name, "initialAssignment"),
         "assignment")
    hub_blob = base64.b64decode(state["tpm"]["authenticationKey"], validate=True)
    audience = f"{RealService.HUB}/devices/{name}"
    token = sas_token(audience, hmac_in_tpm(tpm(), [hub_blob], [sas_text(audience, expiry)])[0], expiry)
    path = f"/devices/{name}/messages/events?api-version=2020-03-13"
    status, _, answer = service().request("POST", path, {"t": 21.5}, token, RealService.HUB)
    same((status, answer), (204, None), "telemetry")
    status, _, answer = service().request("POST", path, {}, sas_with_key(audience, bytes(32)), RealService.HUB)
    same(status, 401, f"telemetry with another key: {answer}")


def test_other_key_proves_nothing():
    """s08 a token that is signed with another key is refused with its own code"""
    ek, srk = tpm_keys()
    service().enroll("pytss-2", ek)
    service().challenge("pytss-2", ek, srk)
    token = sas_with_key(f"{SCOPE}/registrations/pytss-2", bytes(32), "registration")
    status, headers, answer = service().register("pytss-2", ek, srk, token)
    same((status, answer["errorCode"]), (401, 401002), "refusal")
    same(headers["x-ms-error-code"], "401002", "x-ms-error-code")
    check("authenticationKey" not in answer, "no new challenge")


# ---- The software-SRK attack --------------------------------------------------------------------------

def load_external(e, key, attributes, with_private, hierarchy):
    """A software key, loaded into the TPM. Returns handle and TPM2B_PUBLIC."""
    area = rsa_key(attributes, unique=modulus_of(key))
    return e.load_external(area, sensitive_of(key) if with_private else None, hierarchy), area.marshal()


def import_storage_key(e, key):
    """A software key with AES for children, imported under the SRK. Returns handle and TPM2B_PUBLIC."""
    parent, parent_public = create_srk(e)
    area = rsa_key(SOFTWARE_STORAGE, unique=modulus_of(key))
    _, duplicate, secret = utils.wrap(parent_public.publicArea, area, sensitive_of(key, os.urandom(32)))
    private = e.import_(parent, b"", area, duplicate, secret, TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL))
    handle = e.load(parent, private, area)
    e.flush_context(parent)
    return handle, area.marshal()


def test_external_key_gets_inner_key():
    """s05 a software key without fixedTPM, loaded by LoadExternal, gets the inner key from a TPM"""
    inner_key = os.urandom(16)
    with tpm().esys() as e:
        handle, public = load_external(e, software_keys()[1][0], SOFTWARE_PLAIN, True, ESYS_TR.NULL)
        ek_handle, ek = create_ek(e)
        made = tool.bytes("credential", ek.marshal(), name_of(public_of(public)), inner_key, b"seed")
        same(activate(e, handle, ek_handle, made["id_object"], made["encrypted_secret"]), inner_key, "inner key")


def test_imported_key_gets_nonce():
    """s05 a software key as storage key, brought in by Import, gets a whole blob: the nonce leaves the TPM"""
    key, nonce = software_keys()[1][0], os.urandom(32)
    with tpm().esys() as e:
        handle, public = import_storage_key(e, key)
        ek_handle, ek = create_ek(e)
        blob = our_blob(nonce, ek.marshal(), public)
        inner_key = activate(e, handle, ek_handle, blob["id_object"], blob["encrypted_secret"])
    same(inner_key, blob["inner_key"], "inner key")
    stolen = open_duplicate(key, inner_key, blob["key_public"], blob["duplicate"], blob["duplicate_secret"])[2]
    same(stolen, nonce, "the nonce, outside of the TPM")


def test_software_srk_is_refused():
    """s05 therefore our service refuses such keys with 400"""
    ek, name = tpm_keys()[0], "attack-1"
    service().enroll(name, ek)
    modulus = modulus_of(software_keys()[1][0])
    bits = (TPMA_OBJECT.FIXEDTPM, TPMA_OBJECT.FIXEDPARENT, TPMA_OBJECT.SENSITIVEDATAORIGIN, TPMA_OBJECT.USERWITHAUTH)
    tried = [SOFTWARE_STORAGE, SRK_ATTRIBUTES | TPMA_OBJECT.SIGN_ENCRYPT] + [SRK_ATTRIBUTES & ~bit for bit in bits]
    for attributes in tried:
        srk = rsa_key(attributes, unique=modulus).marshal()
        status, _, answer = service().register(name, ek, srk)
        same((status, answer["errorCode"]), (400, 400012), f"SRK with attributes {int(attributes):08x}: {answer}")
        same(tool("srk-check", srk), {"status": "400", "code": "400012"}, "dps_srk_check")
    for srk in (rsa_key(SOFTWARE_PLAIN, unique=modulus), rsa_key(SRK_ATTRIBUTES, EK_POLICY, modulus)):
        status, _, answer = service().register(name, ek, srk.marshal())
        same((status, "authenticationKey" in answer), (400, False), f"answer: {answer}")
        same(tool("srk-check", srk.marshal())["status"], "400", "dps_srk_check")
    same(tool("srk-check", tpm_keys()[1]), {"status": "0", "code": "0"}, "dps_srk_check of a real SRK")


def test_fixed_tpm_cannot_be_claimed():
    """s05 a software key with its private half that claims fixedTPM: LoadExternal refuses it (0x2C2)"""
    key = software_keys()[1][0]
    for attributes in (SRK_ATTRIBUTES, SOFTWARE_PLAIN | TPMA_OBJECT.FIXEDTPM):
        with tpm().esys() as e:
            refused_with(0x2C2, "LoadExternal with fixedTPM",
                         lambda: load_external(e, key, attributes, True, ESYS_TR.NULL))


def test_public_half_is_useless():
    """s05 its public half alone passes the service's rule; the TPM does not activate for it (0x12F)"""
    key, srk_2b, _ = software_keys()[1]
    ek, name = tpm_keys()[0], "attack-2"
    service().enroll(name, ek)
    fields = split_blob(service().challenge(name, ek, srk_2b))
    for hierarchy in (ESYS_TR.OWNER, ESYS_TR.NULL):
        for by_policy in (False, True):
            with tpm().esys() as e:
                handle, public = load_external(e, key, SRK_ATTRIBUTES, False, hierarchy)
                same(public, srk_2b, "public area of the fake")
                ek_handle, _ = create_ek(e)
                session = endorsement_session(e) if by_policy else ESYS_TR.PASSWORD
                refused_with(0x12F, "ActivateCredential for a public key", lambda: activate(
                    e, handle, ek_handle, fields["id_object"], fields["encrypted_secret"], session))


def test_nothing_is_left():
    """after all this the TPM holds neither objects nor sessions"""
    same(tpm().loaded(), [], "loaded")
