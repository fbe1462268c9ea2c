# SPDX-License-Identifier: MIT
"""What a TPM says of vectors."""
import hashlib
import hmac
import os

from judge_ours import FIELDS, area_of
from oracle_wrap import as_2b, take_2b
from raw_tpm import AES_128_CFB, ENDORSEMENT, HMAC, NO_ALGORITHM, NULL, OWNER, PASSWORD, Refused, Tpm, raw, u32
from vector_areas import keyed_hash, policy_command_code
from vector_form import Keys, name_of
from vector_sessions import CHANGE_AUTH, FORMS, answer_of, command_of
from vector_wraps import secret_of

TEXT = b"signed by the TPM"


def is_refused(action):
    try:
        action()
        return False
    except Refused:
        return True


class TpmJudge:
    def __init__(self, address):
        self.tpm = Tpm(address)

    def close(self):
        self.tpm.flush_keys()
        self.tpm.socket.close()

    def verdicts(self, cases):
        return [self.verdict(kind, case) for kind, case in cases]

    def verdict(self, kind, case):
        judge = {"Name": self.name, "Template": self.template, "Policy": self.policy, "MakeCredential": self.credential,
                 "Duplicate": self.duplicate, "ActivationBlob": self.blob, "SasSign": self.sas_sign}.get(kind)
        try:
            return judge(case) if judge else None
        except Refused:
            return False

    # ---- Areas and policies ----

    def name(self, c):
        handle, name = self.tpm.load_external(raw(c["public"]), hierarchy=OWNER)
        self.tpm.flush(handle)
        return name == raw(c["name"])

    def template(self, c):
        """It may refuse an area; which role it is for, it does not know."""
        handle, _ = self.tpm.load_external(raw(area_of(c)), hierarchy=OWNER)
        self.tpm.flush(handle)
        return None

    def policy(self, c):
        """A trial session, which conditions need not be met for."""
        session, _ = self.tpm.start(3)
        try:
            for step in c["steps"]:
                self.tpm.policy(session, step)
            return self.tpm.policy_digest(session) == raw(c["digest"])
        finally:
            self.tpm.flush(session)

    def makes(self, template, hierarchy):
        """The area of the primary key of a template."""
        handle, public = self.tpm.create_primary(hierarchy, template)
        self.tpm.flush(handle)
        return public

    # ---- What is wrapped ----

    def credential(self, c):
        """The object with the Name is one of the vectors' keys."""
        key = self.tpm.key(c["keyPublic"], c["keyPrivate"])
        srk = self.tpm.key(Keys.srk.hex(), Keys.srk_private.hex())
        activated = {name_of(Keys.srk): srk, name_of(Keys.ek): key}.get(raw(c["name"]), srk)
        return self.tpm.activate(activated, key, raw(c["idObject"]), raw(c["encryptedSecret"])) == raw(c["credential"])

    def signs(self, parent, inner_key, public, duplicate, secret, symmetric, text):
        """The HMAC over a text, by the imported key."""
        private = self.tpm.import_(parent, inner_key, public, duplicate, secret, symmetric)
        handle = self.tpm.load(parent, private, public)
        try:
            return self.tpm.hmac(handle, text)
        finally:
            self.tpm.flush(handle)

    def duplicate(self, c):
        parent = self.tpm.key(c["parentPublic"], c["parentPrivate"])
        symmetric = NO_ALGORITHM if c["innerAlgorithm"] == "NULL" else AES_128_CFB
        wrapped = (raw(c["keyPublic"]), raw(c["duplicate"]), raw(c["secret"]))
        mac = self.signs(parent, raw(c["innerKey"]), *wrapped, symmetric, TEXT)
        return mac == hmac.digest(raw(c["key"]), TEXT, "sha256")

    def blob(self, c):
        """Step 7. No TPM sees the sixth field, nor whether fields are whole; and it takes a key of another kind."""
        if set(c["flags"]) & {"KeyKind", "Form"}:
            return None
        ek, srk = self.tpm.key(c["ekPublic"], c["ekPrivate"]), self.tpm.key(c["srkPublic"], c["srkPrivate"])
        fields = [raw(c[field]) for field in FIELDS]
        inner_key = self.tpm.activate(srk, ek, *fields[:2])
        mac = self.signs(srk, inner_key, fields[4], fields[2], fields[3], AES_128_CFB, raw(c["message"]))
        right = (inner_key, mac) == (raw(c["innerKey"]), raw(c["signature"]))
        return None if right and "Bit" in c["flags"] else right

    # ---- Tokens ----

    def external_key(self, key, auth=b"", policy=b""):
        """Handle and public area of an HMAC key, loaded as it is."""
        public = keyed_hash(hashlib.sha256(bytes(32) + key).digest(), policy=policy)
        sensitive = as_2b(raw("0008") + as_2b(auth) + as_2b(bytes(32)) + as_2b(key))
        return self.tpm.load_external(public, sensitive)[0], public

    def sas_sign(self, c):
        handle, _ = self.external_key(raw(c["key"]))
        try:
            mac = self.tpm.hmac(handle, c["stringToSign"].encode())
        finally:
            self.tpm.flush(handle)
        # What was to be signed, no TPM knows: it signs a wrong text as well.
        return None if mac == raw(c["signature"]) and c["flags"] else mac == raw(c["signature"])

    # ---- Sessions, with the TPM's own nonces ----

    def start(self, session):
        """Begin one as the vector's session began."""
        ek, secret = NULL, as_2b(b"")
        if session["salt"]:
            ek = self.tpm.key(Keys.ek.hex(), Keys.ek_private.hex())
            secret = secret_of(Keys.ek, b"SECRET\0", session["salt"], os.urandom(8).hex())
        kind = 1 if session["handle"][0] == 3 else 0
        handle, nonce = self.tpm.start(kind, ek, secret, AES_128_CFB, session["nonceCallerStart"])
        session.update(handle=u32(handle), nonceTpmStart=nonce, nonceTpm=nonce)
        if kind == 1:
            self.tpm.policy(handle, {"command": "PolicyCommandCode", "code": f"{HMAC:08x}"})

    def accepts(self, form, odd=()):
        """Does it take a command of this form, with these mistakes, and answer as it should?"""
        e = FORMS[form]()
        if e["code"] == CHANGE_AUTH:
            self.change_auth(b"", b"old")
            wanted, done = b"", lambda: self.reset_auth(b"new", b"old")
        else:
            key = os.urandom(32)
            handle, public = self.external_key(key, e["sessions"][0]["authValue"], policy_command_code(HMAC))
            e["handles"], e["names"] = [u32(handle)], [name_of(public)]
            text = take_2b(e["parameters"])[0]
            wanted, done = as_2b(hmac.digest(key, text, "sha256")), lambda: self.tpm.flush(handle)
        try:
            for session in e["sessions"]:
                self.start(session)
            return answer_of(e, self.tpm.transact(command_of(e, odd))) == wanted
        except Refused:
            return False
        finally:
            for session in e["sessions"]:  # some have ended by themselves, or never begun
                is_refused(lambda s=session: self.tpm.flush(int.from_bytes(s["handle"], "big")))
            done()

    def change_auth(self, before, after):
        """By password."""
        area = u32(PASSWORD) + raw("000001") + as_2b(before)
        body = u32(ENDORSEMENT) + u32(len(area)) + area + as_2b(after)
        self.tpm.transact(raw("8002") + u32(10 + len(body)) + u32(CHANGE_AUTH) + body)

    def reset_auth(self, *which):
        for auth in which:
            if not is_refused(lambda a=auth: self.change_auth(a, b"")):
                return
