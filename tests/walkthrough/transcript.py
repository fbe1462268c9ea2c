# SPDX-License-Identifier: MIT
"""The run as walkthrough_run wrote it: messages with their fields, grouped into exchanges and scenes."""
import json
import re

# The HTTP fields about which the transcript says nothing.
HTTP_MEANINGS = {
    "start line": "What is asked, of which resource, in which version; or how it went.",
    "empty line": "The head ends here.",
    "User-Agent": "The program that asks.",
    "Accept": "What form the answer may have.",
    "Connection": "The connection stays open for the next request.",
    "Content-Type": "What form the body has.",
    "x-ms-request-id": "Under this name the service's log has this request.",
    "x-ms-error-code": "Why the service refused, as a number.",
    "attestation": "How the device will prove itself.",
    "type": "By a TPM.",
    "provisioningStatus": "An enrollment can be switched off.",
    "createdDateTimeUtc": "When the record was made.",
    "lastUpdatedDateTimeUtc": "When it was changed last.",
    "unencryptedAuthenticationKey": "Never used for a TPM: the key does not travel in clear.",
    "ETag": "Changes whenever the record changes.",
    "errorCode": "Why the service refused, as a number.",
    "message": "Why, in words.",
    "timestampUtc": "When it was refused.",
    "temperature": "What the device wanted to say all the time.",
}

TPM_MEANINGS = {"policy session": "The session in which the key's policy has been satisfied.",
                "HMAC session": "The session whose key made the HMAC."}

# What a field is, for its colour and underline: by its type, by its name, by the structure around it.
KINDS = {
    "frame": "framing: tag, size, code, headers",
    "handle": "handle: which object or session",
    "size": "size of what follows",
    "choice": "choice: algorithm, attribute, number",
    "public": "public key or other bytes in clear",
    "digest": "digest, HMAC, Name or session nonce",
    "cipher": "ciphertext",
    "secret": "secret in clear",
}
DIGEST_TYPES = {"TPM2B_DIGEST", "TPM2B_NONCE", "TPM2B_NAME", "TPM2B_AUTH"}
FRAME_NAMES = {"tag", "commandSize", "responseSize", "commandCode", "responseCode", "authorizationSize",
               "parameterSize"}
CIPHER_NAMES = {"encIdentity", "secret", "dupSensitive", "outDuplicate", "outPrivate", "inPrivate", "encUriData",
                "authenticationKey"}
SECRET_NAMES = {"certInfo", "encryptionKey", "newAuth", "inSensitive"}


class Field:
    """One field of a message. path: its name after those of the structures it is in."""

    def __init__(self, data, parents, number):
        self.name, self.type = data["name"], data["type"]
        self.offset, self.length, self.depth = data["offset"], data["len"], data["depth"]
        self.leaf, self.masked = data["leaf"], data.get("masked", False)
        self.encrypted = data.get("encrypted", False)
        self.value, self.value_name = data.get("value"), data.get("valueName")
        self.meaning, self.spec = data.get("meaning"), data.get("spec")
        self.parents = parents
        self.path = ".".join([p.name for p in parents] + [self.name])
        self.number = number
        self.bits = []

    def kind(self, http):
        names = {p.name for p in self.parents} | {self.name}
        if http:
            return self.http_kind()
        if self.masked:
            return "secret"
        if self.name in FRAME_NAMES or self.type == "TPM_ST":
            return "frame"
        if self.name in ("size", "count"):
            return "size"
        if self.type == "TPM_HANDLE":
            return "handle"
        if self.type != "BYTE":
            return "choice"
        if any(p.encrypted for p in self.parents):
            return "cipher"
        if names & SECRET_NAMES:
            return "secret"
        if names & CIPHER_NAMES:
            return "cipher"
        return self.byte_kind()

    def byte_kind(self):
        parent = self.parents[-1] if self.parents else self
        if self.name in ("digest", "name") or parent.type in DIGEST_TYPES:
            return "digest"
        return "public"

    def http_kind(self):
        if self.name == "authenticationKey":
            return "cipher"
        if self.name in ("Authorization", "sig", "operationId"):
            return "digest"
        if self.name in ("endorsementKey", "storageRootKey"):
            return "public"
        if self.type in ("JSON", "bytes") and self.length > 1 or self.name in ("sr", "se", "skn"):
            return "choice"
        return "frame"


class Message:
    """kind as in port/posix/explain/trace.h; number counts the scene's messages of this name."""

    def __init__(self, data, scene):
        self.scene, self.step, self.kind = scene, data["step"], data["kind"]
        self.what, self.name, self.error = data["what"], data["name"], data["error"]
        self.bytes = bytes.fromhex(data["hex"])
        self.sessions = data.get("sessions")
        self.secrets = {}  # what --trace-secrets shows of it
        self.fields = []
        self.anchor = None
        stack = []
        for number, item in enumerate(data["fields"], 1):
            stack = stack[:item["depth"]]
            field = Field(item, list(stack), number)
            if not field.meaning:
                field.meaning = http_meaning(field) if self.text else TPM_MEANINGS.get(field.value_name)
            self.fields.append(field)
            stack.append(field)

    @property
    def text(self):
        return self.kind in ("http-request", "http-response", "sas-token")

    @property
    def leaves(self):
        return [f for f in self.fields if f.leaf and f.length > 0]

    def find(self, path):
        """The last field whose path ends so: "credentialBlob.integrityHMAC.buffer"."""
        found = [f for f in self.fields if ("." + f.path).endswith("." + path)]
        if not found:
            raise KeyError(f"{self.anchor}: no field {path}")
        return found[-1]

    def get(self, path):
        field = self.find(path)
        return self.bytes[field.offset:field.offset + field.length]

    @property
    def code(self):
        """Of a TPM response."""
        return int.from_bytes(self.bytes[6:10], "big") if self.kind == "tpm-response" else None

    @property
    def status(self):
        return int(self.bytes.split(b" ")[1]) if self.kind == "http-response" else None


def http_meaning(field):
    if field.length == 1 or field.type == "JSON" and field.name in ("body", "attestation", "tpm", "registrationState"):
        return "JSON's brackets: a group of members begins or ends."
    if field.type == "bytes":
        return "The message itself, as the hub's users get it."
    return HTTP_MEANINGS.get(field.name)


class Exchange:
    """A question and its answer, and what is inside them."""

    def __init__(self, request, values, flip):
        self.request, self.response, self.token, self.blob = request, None, None, None
        self.values, self.flip = values, flip

    @property
    def messages(self):
        return [m for m in (self.request, self.token, self.response, self.blob) if m]


class Run:
    def __init__(self, path):
        self.values, self.scenes, self.counts = {}, {}, {}
        self.scene = None
        pending, flip, last = {}, None, None
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                data = json.loads(line)
                if data["kind"] == "scene":
                    self.scene = self.scenes.setdefault(data["name"], [])
                    self.name = data["name"]
                elif data["kind"] == "value":
                    pending[data["name"]] = self.values[data["name"]] = bytes.fromhex(data["hex"])
                elif data["kind"] == "secrets":
                    last.secrets = {v["name"]: bytes.fromhex(v["hex"]) for v in data["values"]}
                elif data["kind"] == "flip":
                    flip = data
                elif data["kind"] == "bits":
                    last = self.bits(last, data)
                else:
                    last = self.message(Message(data, self.name), pending, flip)
                    if last.kind in ("tpm-command", "http-request"):
                        pending, flip = {}, None

    @staticmethod
    def bits(message, data):
        for field in message.fields:
            if field.offset == data["offset"] and field.name == data["name"]:
                field.bits = data["bits"]
        return message

    def message(self, message, pending, flip):
        if message.kind in ("tpm-command", "http-request"):
            self.scene.append(Exchange(message, pending, flip))
        exchange = self.scene[-1]
        if message.kind in ("tpm-response", "http-response"):
            exchange.response = message
        elif message.kind == "sas-token":
            exchange.token = message
        elif message.kind == "activation-blob":
            exchange.blob = message
        message.step = message.step or exchange.request.step
        message.anchor = self.anchor_of(message, exchange)
        return message

    def anchor_of(self, message, exchange):
        """Readable and stable: "register-import-2-response"."""
        request = exchange.request
        name = request.name.replace("TPM2_", "") if request.kind == "tpm-command" else request.name.split(" ")[0]
        base = re.sub("[^a-z0-9]+", "-", f"{message.scene}-{name}".lower())
        if message is request:
            self.counts[base] = self.counts.get(base, 0) + 1
        part = {"tpm-command": "command", "tpm-response": "response", "http-request": "request",
                "http-response": "response", "sas-token": "token", "activation-blob": "blob"}[message.kind]
        return f"{base}-{self.counts[base]}-{part}"

    @property
    def exchanges(self):
        return [e for scene in self.scenes.values() for e in scene]

    def by_anchor(self, anchor):
        for exchange in self.exchanges:
            for message in exchange.messages:
                if message.anchor == anchor:
                    return message
        raise KeyError(anchor)
