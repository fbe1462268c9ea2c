# SPDX-License-Identifier: MIT
"""The run's last registration, in sessions that a listener cannot read: each of their values, computed here from what
crossed the bus and from what --trace-secrets shows."""
from answers import link
from chapters import Chapter, plain_table, whole
from derive import Value, same, sh_hmac, sh_kdfa, sh_sha256, unhex
from tpmcrypto import cfb_decrypt, hmac, kdfa, sha256, xor

SESSION = "tpm/session.c:"
BEGIN = "P1 r1.59 19.6.8"
HMAC = "P1 r1.59 19.6.5"
ENCRYPTION = "P1 r1.59 21.3"


def one(exchanges, name):
    return next(e for e in exchanges if e.request.name == "TPM2_" + name)


def parameters(command):
    """What stands behind the authorizations."""
    size = command.find("authorizationSize")
    return command.bytes[size.offset + 4 + size.value:]


def sh_block(key, iv):
    return f"{unhex(iv)} |\n  openssl enc -aes-128-ecb -nopad -K {key.hex()} |\n  xxd -p -c 0"


def sh_decrypt(key, iv, data, shown):
    return f"{unhex(data)} |\n  openssl enc -d -aes-128-cfb -K {key.hex()} -iv {iv.hex()}{shown}"


class Session:
    """One session, as this page computes it: its key, and the last nonceTPM."""

    def __init__(self, started, prefix, what):
        self.prefix, self.what = prefix, what
        secrets = started.response.secrets
        self.nonce_tpm = started.response.get("nonceTPM.buffer")
        nonce_caller = started.request.get("nonceCaller.buffer")
        self.key = kdfa(secrets["salt"], b"ATH", self.nonce_tpm + nonce_caller, 32)
        same(self.key, secrets["sessionKey"], f"sessionKey of {what}")
        self.begun = Value(
            prefix + "key", f"sessionKey of {what}", self.key,
            sh_kdfa(secrets["salt"], "ATH", self.nonce_tpm + nonce_caller, 32),
            "KDFa of the salt, which only the device and the TPM know. Both nonces make it a new key each time.",
            SESSION + "tpm2_session_begin", BEGIN,
            [("salt, random; on the bus encrypted to the EK, with the label SECRET and a zero byte", secrets["salt"]),
             ("nonceTPM, of the answer", self.nonce_tpm), ("nonceCaller", nonce_caller)])

    def place(self, message):
        """This session among those of a message: nonce, attributes and HMAC of the last one."""
        return (message.get("session.nonce.buffer"), message.get("session.sessionAttributes"),
                message.get("session.hmac.buffer"))

    def hidden(self, name, exchange, message, field, password=b"", text=False):
        """The parameter of a message that this session hides: key, key stream and clear text."""
        command = message is exchange.request
        ours = self.place(exchange.request)[0]
        theirs = self.nonce_tpm if command else self.place(exchange.response)[0]
        newer, older = (ours, theirs) if command else (theirs, ours)
        symmetric = kdfa(self.key + password, b"CFB", newer + older, 32)
        key, iv, cipher = symmetric[:16], symmetric[16:], message.get(field + ".buffer")
        clear, secrets = cfb_decrypt(key, cipher, iv), message.secrets
        same(clear, secrets["clear"], f"{name} in clear")
        same(symmetric, secrets["cfbKey"] + secrets["cfbIV"], f"{name}: key and initial value")
        same(xor(clear, cipher), secrets["keystream"], f"{name}: key stream")
        nonces = [("nonceCaller, the newer one", newer), ("nonceTPM that the device holds", older)]
        if not command:
            nonces = [("nonceTPM of the answer, the newer one", newer), ("nonceCaller of the command", older)]
        values = [Value(
            f"{self.prefix}{name}-cfb", f"{field}: key and initial value", symmetric,
            sh_kdfa(self.key + password, "CFB", newer + older, 32),
            "Each command and each answer has its own, since its nonces are new. 16 bytes are the key, 16 the initial "
            "value.", SESSION + "cfb_key", ENCRYPTION, [("sessionKey", self.key), *nonces])]
        if len(clear) == 16:
            values.append(Value(
                f"{self.prefix}{name}-stream", f"{field}: the key stream", xor(clear, cipher), sh_block(key, iv),
                "In CFB mode it is the initial value, encrypted.", "crypto/crypto_bearssl.c:crypto_aes_cfb_decrypt",
                ENCRYPTION, [("key", key), ("initial value", iv)]))
        shown = clear.decode() if text else clear
        values.append(Value(
            f"{self.prefix}{name}", f"{field} in clear", shown,
            sh_decrypt(key, iv, cipher, "" if text else " |\n  xxd -p -c 0"),
            "Its length is not hidden.", SESSION + ("encrypt_parameter" if command else "believe"), ENCRYPTION,
            [(f"{field}, as it crossed the bus", cipher), ("key", key), ("initial value", iv)]))
        return values

    def authorized(self, name, message, exchange, names=(), password=b"", title=""):
        """cpHash or rpHash, and the HMAC over it."""
        command, secrets = message is exchange.request, message.secrets
        nonce, attributes, sent = self.place(message)
        ours = self.place(exchange.request)[0]
        code = exchange.request.get("commandCode")
        parts = [("responseCode", bytes(4)), ("commandCode", code)]  # of an answer without parameters
        if command:
            parts = [("commandCode", code), *names, ("parameters, as they were sent", parameters(message))]
        text = b"".join(data for _, data in parts)
        hashed = "cpHash" if command else "rpHash"
        same(sha256(text), secrets[hashed], f"{hashed} of {name}")
        older = self.nonce_tpm if command else ours
        whole_text = sha256(text) + nonce + older + attributes
        mac = hmac(self.key + password, whole_text)
        same(mac, sent, f"HMAC of {name}")
        pieces = [(hashed, sha256(text)), ("nonceCaller" if command else "nonceTPM", nonce),
                  ("nonceTPM, of the last answer" if command else "nonceCaller, of the command", older),
                  ("sessionAttributes", attributes), ("sessionKey", self.key)]
        if password:
            pieces.append(("the password", password))
        return [
            Value(f"{self.prefix}{name}-hash", f"{hashed} {title}", sha256(text), sh_sha256(text),
                  "What the HMAC covers: every parameter, and the keys by their Names. It does not cover their "
                  "handles, which a resource manager changes on the way." if command else
                  "An answer is covered likewise, but for the handle of a new object.",
                  SESSION + "hash", "P1 r1.59 18.7" if command else "P1 r1.59 18.8", parts),
            Value(f"{self.prefix}{name}-hmac", f"hmac {title}", mac, sh_hmac(self.key + password, whole_text),
                  "The same bytes stand in the command. The TPM computes them too; a command that names this session "
                  "and was changed is refused."
                  if command else "The same bytes stand in the answer: the device computes them too, and believes "
                  "nothing else.",
                  SESSION + "authorize", HMAC, pieces)]

    def next(self, response):
        self.nonce_tpm = self.place(response)[0]


def password_values(exchanges):
    """The owner's new password, in an HMAC session."""
    session = Session(one(exchanges, "StartAuthSession"), "own-", "the HMAC session")
    change = one(exchanges, "HierarchyChangeAuth")
    values = [session.begun, *session.hidden("newauth", change, change.request, "newAuth", text=True)]
    password = change.request.secrets["clear"]
    handle = change.request.get("authHandle")
    values += session.authorized("command", change.request, change,
                                 [("Name of the owner's hierarchy: its handle", handle)], title="of the command")
    values += session.authorized("answer", change.response, change, password=password,
                                 title="of the answer, with the new password")
    return values


def registration_values(exchanges):
    """The inner key, in the policy session."""
    start = one(exchanges, "StartAuthSession")
    session = Session(start, "policy-", "the policy session")
    activate, load = one(exchanges, "ActivateCredential"), one(exchanges, "Import")
    names = activate.request.secrets["cpHashInput"][4:72]
    srk, ek = names[:34], names[34:]
    values = [session.begun]
    values += session.authorized("activate", activate.request, activate,
                                 [("Name of the SRK", srk), ("Name of the EK", ek)], title="of ActivateCredential")
    values += session.hidden("inner", activate, activate.response, "certInfo")
    session.next(activate.response)
    values += session.hidden("again", load, load.request, "encryptionKey")
    same(activate.response.secrets["clear"], load.request.secrets["clear"], "the inner key on its way back")
    return values


def record(exchanges):
    """What an interposer's record of this scene has, and what it has not."""
    crossed = b"".join(m.bytes for e in exchanges if e.request.kind == "tpm-command" for m in e.messages)
    rows = []
    for exchange, part, field, what in (
            ("HierarchyChangeAuth", "request", "newAuth", "the owner's password"),
            ("ActivateCredential", "response", "certInfo", "the inner key, from the TPM"),
            ("Import", "request", "encryptionKey", "the same, to the TPM"),
            ("HMAC", "response", "outHMAC", "the signature of the token")):
        message = getattr(one(exchanges, exchange), part)
        clear, cipher = message.secrets["clear"], message.get(field + ".buffer")
        if clear in crossed or cipher == clear:
            raise SystemExit(f"walkthrough: {what} crosses the bus in clear")
        rows.append((f"<code>{field}</code>", what, f"<code>{cipher[:8].hex(' ')} …</code>",
                     f"<code>{clear[:8].hex(' ')} …</code>"))
    return plain_table("Hidden by a session", ("Field", "What it is", "In the record", "What it says"), rows)


def taken(run):
    """How many keys the interposer got, in four registrations."""
    plain, salted, plain_password, salted_password = run.values["keysTaken"]
    if [plain, salted, plain_password, salted_password] != [2, 2, 2, 0]:
        raise SystemExit(f"walkthrough: keys taken: {run.values['keysTaken'].hex()}")
    rows = [("Without sessions", "none", "both keys: the inner key is in clear"),
            ("With sessions", "none", "both keys: he opens a session of his own, with the empty password"),
            ("Without sessions", "of the endorsement hierarchy", "both keys: the password is in clear, too"),
            ("With sessions", "of the endorsement hierarchy", "none: PolicySecret and ActivateCredential refuse him")]
    return plain_table("What he takes with TPM2_Rewrap, standard SRK", ("The device registers", "Password", "He gets"),
                       rows)


def in_sessions(run):
    scene = run.scenes["sessions"]
    tpm = [e for e in scene if e.request.kind == "tpm-command"]
    started = [e for e in tpm if e.request.name == "TPM2_StartAuthSession"]
    own, registration = tpm[:tpm.index(started[1])], tpm[tpm.index(started[1]):]
    change, activate, load = (one(tpm, n) for n in ("HierarchyChangeAuth", "ActivateCredential", "Import"))
    return Chapter(
        "sessions", None, "The same, and he cannot read it", "device ↔ TPM",
        "So far the device spoke to its TPM in clear, so that every byte could be shown (<code>--no-sessions</code>). "
        "By default it does not. It opens a session: a random salt, encrypted to the EK, from which both sides derive "
        "a key. Before the service has judged EK_pub, the device can know that it is this TPM's only from an earlier "
        "run (<code>--state</code>): whoever puts a key of his own in the EK's place reads the salt, and with it a new "
        "password. With it each command and each answer carries an HMAC, and what is secret in its first parameter is "
        "encrypted. <code>dps-device --trace-secrets</code> shows the values below. It is for pages like this one: "
        "whoever has such a trace has the passwords.",
        [*whole([started[0], change]),
         ("values", "A password that nobody hears", "The owner sets a new password.", password_values(own)),
         *whole([started[1], activate, load]),
         ("values", "The inner key, hidden twice",
          "A registration opens no more sessions than before: the policy session of step 7 gets a salt. In "
          "ActivateCredential it authorizes the EK and encrypts the answer, in Import it only encrypts.",
          registration_values(registration)),
         ("html", "<p>Somebody on the bus records all of this "
          "(<code>interpose:FILE/TPM</code>, in tests/hostile). "
          "His record has every message of this chapter, the Names, the lengths and which command was sent. What "
          "matters is not in it:</p>" + record(tpm)
          + f"<p>If he changes a bit of a message that names a session, it is noticed: in a command by the TPM, in "
          f"{link(activate.response, 'an answer')} by the device. So is such a command that he sends again, since its "
          "nonce has been used.</p>"
          "<p>But he need not listen. He can also ask, in a session of his own, for what the device asks for. If "
          "there is no endorsement password, nothing stops him, and TPM2_Rewrap does the rest. With one, PolicySecret "
          "wants an HMAC that he cannot compute, and binds the device's own policy session by its nonce. So sessions "
          "protect that password, and it, or the "
          '<a href="#rewrap-hardened">hardened SRK</a>, protects the keys. The same interposer in four '
          "registrations:</p>"
          + taken(run))])
