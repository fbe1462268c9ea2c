# SPDX-License-Identifier: MIT
"""Which function of our source wrote or read a message or a field. The rows of the device's flow are read from its own
table; the rest is named here, and every name is checked to exist."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'(?:STEP|REDO)\(\s*\d+,\s*\w+,\s*("[^"]+"|\w+),\s*(\w+),\s*(\w+)\)')
TEXT = re.compile(r'#define (\w+) ("[^"]+")')

DEFINITION = re.compile(r"^[a-z][\w *]*?\b(\w+)\([^;{]*\)\n\{", re.M)

COMMAND = "tpm/command.c"
COMMAND_OF_TOOLS = "tpm/tools/command_more.c"
NAMED_OTHERWISE = {"TPM2_HMAC": "tpm2_hmac", "TPM2_LoadExternal": "tpm2_load_external_rsa"}

# Structures in TPM messages: (structure, function that writes it, function that reads it).
TPM_PARTS = [
    ("TPMT_PUBLIC", "tpm/public.c:tpm2_public_write", "tpm/public.c:tpm2_public_read"),
    ("TPM2B_PUBLIC", "tpm/public.c:tpm2_public_write_2b", "tpm/public.c:tpm2_public_parse_2b"),
    ("TPMS_AUTH_COMMAND", "tpm/auth.c:tpm2_auth_area_write", None),
    ("TPMS_AUTH_RESPONSE", None, "tpm/auth.c:tpm2_auth_area_read"),
]
BLOB_PARTS = {
    "credentialBlob": "tpm/protect.c:tpm2_credential_make", "secret": "tpm/protect.c:tpm2_credential_make",
    "duplicate": "tpm/protect.c:tpm2_duplicate_make", "inSymSeed": "tpm/protect.c:tpm2_duplicate_make",
    "objectPublic": "tpm/public.c:tpm2_public_write_2b", "encUriData": "dps/service/activation_make.c:write_uri",
}
DEVICE_HEAD = {"Authorization": "dps/protocol/sas.c:dps_sas_write_token",
               "Content-Length": "dps/device/device.c:fill_in_length", "start line": None}
SERVICE_BODY = {"authenticationKey": "dps/service/service.c:write_blob",
                "operationId": "dps/service/service.c:write_operation_id",
                "errorCode": "dps/service/answer.c:write_error", "trackingId": "dps/service/answer.c:write_error"}
# Requests of chapter "One command too many".
BY_ATTACKER = {9: "write_poll", 10: "write_telemetry"}
STATE = {"createdDateTimeUtc", "assignedHub", "deviceId", "substatus", "lastUpdatedDateTimeUtc", "etag"}


# A session with a key: (message, is it the encrypted parameter?).
IN_SESSION = {("tpm-command", False): "rewrite_auths", ("tpm-command", True): "encrypt_parameter",
              ("tpm-response", False): "verify", ("tpm-response", True): "believe"}
PASSWORD = 0x40000009


def keyed(message, structure):
    """Is it one of a message's sessions, and no password?"""
    handle = [f.value for f in message.fields if f.name == "sessionHandle" and structure in f.parents]
    return structure.name == "session" and handle != [PASSWORD]


def lines():
    """Every function that is defined, "dps/device/device.c:build_activate", and its line."""
    found = {}
    for folder in ("crypto", "tpm", "dps", "port", "tests"):
        for path in (ROOT / folder).rglob("*.c"):
            found |= definitions(path)
    return found


def definitions(path):
    text = path.read_text(encoding="utf-8")
    return {f"{path.relative_to(ROOT)}:{m.group(1)}": text.count("\n", 0, m.start()) + 1
            for m in DEFINITION.finditer(text)}


def rows():
    """What a row of the flow is for → the functions of that row, with their files."""
    where = {name.split(":")[1]: name for name in lines() if name.startswith("dps/")}
    found = {}
    for path in (ROOT / "dps").rglob("*.c"):
        own = {name.split(":")[1]: name for name in definitions(path)}
        source = path.read_text(encoding="utf-8")
        texts = dict(TEXT.findall(source))
        for what, build, read in ROW.findall(source):
            found[texts.get(what, what).strip('"')] = tuple(own.get(name) or where.get(name) for name in (build, read))
    return found


class Sources:
    def __init__(self):
        self.rows = rows()
        self.used = set()

    def note(self, *names):
        kept = [name for name in names if name]
        self.used.update(kept)
        return kept

    def message(self, message, exchange):
        """Those who made or read this message, outermost first."""
        build, read = self.rows.get(message.what, (None, None))
        if message.kind in ("tpm-command", "tpm-response"):
            return self.note(*self.tpm(message, build, read))
        if message.kind == "activation-blob":
            return self.note("dps/service/service.c:write_blob", "dps/service/activation_make.c:dps_activation_make")
        if message.kind == "sas-token":
            return self.note("dps/protocol/sas.c:dps_sas_write_token", "dps/protocol/sas.c:dps_sas_parse")
        if message.kind == "http-request":
            return self.note(self.requester(message, build), "dps/service/request.c:dps_request_read")
        return self.note(self.answerer(message, exchange), read)

    @staticmethod
    def tpm(message, build, read):
        name = NAMED_OTHERWISE.get(message.name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", message.name).lower()
        command = message.kind == "tpm-command"
        if name == "tpm2_load_external_rsa" and not command:
            name = "tpm2_load_external"
        flush = message.what == "to forget what was loaded"
        file = COMMAND_OF_TOOLS if message.name in ("TPM2_LoadExternal", "TPM2_Rewrap") else COMMAND
        step = "dps/device/engine.c:build_flush" if flush and command else None if flush else build if command else read
        if message.scene == "sessions" and command and name == "tpm2_start_auth_session":
            name = "tpm2_start_keyed_session"
        return step, f"{file}:{name}_{'build' if command else 'parse'}"

    @staticmethod
    def requester(message, build):
        if build:
            return build
        if message.scene.startswith("rewrap") and message.step in BY_ATTACKER:
            return "tests/walkthrough/walkthrough_rewrap.c:" + BY_ATTACKER[message.step]
        if message.step == 8 and message.scene != "rewrap":  # a request of the device's, changed or sent again
            return "dps/device/device.c:build_register_signed"
        here = "tests/walkthrough/walkthrough_run.c:"
        return here + ("enroll" if message.step == 2 else "walk_write_registration")

    @staticmethod
    def answerer(message, exchange):
        if message.status >= 400 and not exchange.blob:
            return "dps/service/answer.c:dps_answer_refuse"
        return {2: "dps/manage/admin_enrollment.c:dps_admin_put", 4: "dps/service/service.c:challenge",
                8: "dps/service/service.c:assign", 9: "dps/service/service.c:operation_status",
                10: "dps/service/hub.c:dps_hub_api"}[message.step]

    def field(self, message, exchange, field):
        """The one function closest to this field."""
        around = [*reversed(field.parents)]
        if message.secrets and (field.encrypted or any(p.encrypted or keyed(message, p) for p in field.parents)):
            return self.note("tpm/session.c:" + IN_SESSION[message.kind, any(p.encrypted for p in field.parents)])
        if message.kind == "activation-blob":
            top = field.parents[0].name if field.parents else field.name
            return self.note(BLOB_PARTS[top])
        if message.kind == "sas-token":
            return self.note("dps/protocol/sas.c:dps_sas_write_token")
        if message.text:
            return self.note(self.http_field(message, exchange, field))
        for structure in [field, *around]:
            for kind, writes, reads in TPM_PARTS:
                name = writes if message.kind == "tpm-command" else reads
                if structure.type == kind and name:
                    return self.note(name)
        return self.note(self.tpm(message, None, None)[1])

    def http_field(self, message, exchange, field):
        head = field.type == "text"
        if message.kind == "http-response":
            if head:
                return "dps/service/answer.c:dps_answer_write_head"
            if field.name in STATE and message.step == 9:
                return "dps/service/registration.c:dps_registration_write_state"
            return SERVICE_BODY.get(field.name) or self.answerer(message, exchange)
        build = self.rows.get(message.what, (None, None))[0]
        if not build:
            return self.requester(message, None)
        if head:
            return DEVICE_HEAD.get(field.name, "dps/device/device.c:write_headers") or build
        return build if message.step == 10 else "dps/device/device.c:write_registration"
