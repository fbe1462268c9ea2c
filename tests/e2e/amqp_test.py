# SPDX-License-Identifier: MIT
"""Provisioning over AMQP, --amqp: what the service sends is read by proton, which speaks for the device after SASL.
Needs python3-qpid-proton, tpm2-pytss and python3-cryptography."""

import base64
import json
import re

import proton

from amqp_harness import (CHALLENGE, OUTCOME, REGISTER, SASL_HEADER, STATUS, TEMPORARY, Door, Peer, attach, response,
                          sasl_init)
from harness import HUBS, Device
from oracle_wrap import sas_with_key
from server_harness import API, SCOPE
from tap import check, same


def shared():
    return Door("--metrics", "127.0.0.1:0")


def hub_says(door, state):
    """Step 10 over HTTPS, with the key that AMQP has brought."""
    key = door.open(base64.b64decode(state["tpm"]["authenticationKey"]))
    token = sas_with_key(f"{state['assignedHub']}/devices/{state['deviceId']}", key)
    client = door.service.tls()
    client.send(f"POST /devices/{state['deviceId']}/messages/events?{API} HTTP/1.1\r\nHost: {state['assignedHub']}\r\n"
                f"Authorization: {token}\r\nContent-Length: 2\r\n\r\n{{}}")
    return client.answer()[0]


def test_registration(door):
    """a device registers, asks for the result, and uses its key at the hub"""
    begin = len(door.log())
    peer = door.peer()
    message, first = peer.ask(REGISTER, correlation="c-7")
    same(message.correlation_id, "c-7", "correlation-id")
    same(message.properties, {"retry-after": "0", "Retry-After": "0"}, "application-properties")
    same((first["status"], first["registrationState"]["registrationId"]), ("assigning", "boiler"), "answer")
    message, last = peer.ask(STATUS, first["operationId"], correlation=proton.ulong(8))
    same(message.correlation_id, 8, "correlation-id")
    same(message.properties, None, "application-properties")
    state = last["registrationState"]
    check(state["assignedHub"] in HUBS, "a linked hub")
    same(hub_says(door, state), 204, "the hub's answer")
    peer.end()
    for line in ("method=sasl-response route=register id=boiler ek=[0-9a-f]+ status=401",
                 "method=transfer route=register id=boiler ek=[0-9a-f]+ status=202",
                 "method=transfer route=operation id=boiler status=200"):
        door.says("event=answered " + line, begin)
    same(len(re.findall("event=answered method=[a-z-]+ route=(?:register|operation)", door.log()[begin:])), 3, "lines")


def test_metrics(door):
    """challenges and assignments are counted as those over HTTPS are, and frames that ask nothing are not"""
    names = ("dps_challenges_total", "dps_assignments_total", 'dps_answers_total{code="0"}')
    before = [door.service.sample(name) for name in names]
    door.peer().register()
    after = [door.service.sample(name) for name in names]
    same([b - a for a, b in zip(before, after)], [1, 1, 4], "challenge, assignment; with the proof and the result")


def test_forms(door):
    """what each SDK does differently: addresses, correlation-id, bodies, settled requests"""
    for address in ("/{}/registrations/{}", "amqps://localhost/{}/registrations/{}", "{}/registrations/{}"):
        peer = door.peer(address=address.format(SCOPE, "boiler"))
        for correlation, body in ((None, b""), (None, b'{"payload":1}'), ("x" * 200, "a string"), ("u", "")):
            message, first = peer.ask(REGISTER, correlation=correlation, body=body) if peer.tags == 0 else \
                peer.ask(STATUS, operation, correlation=correlation, body=body)
            same(message.correlation_id, correlation, "correlation-id")
            operation = first["operationId"]
        peer.send(STATUS, operation, settled=True)
        same(peer.answer()[1]["status"], "assigned", "status")
        peer.end()


def test_versions(door):
    """the links name the api-version: what HTTPS takes is taken, and an old one keeps a device where it is"""
    door.enroll("old")
    for version in ("2017-11-15", "2019-03-31", "2021-06-01", "2031-01-01-preview"):
        check("assignedHub" in door.peer("old", version=version).register(), version)
    for version in ("2017-11-14", "today", "2021-06-01-beta"):
        name, error, _ = door.peer("old", version=version).rejected(REGISTER)
        same((name, error["errorCode"]), ("amqp:not-allowed", 400003), version)
    raw = door.proven()
    raw.session()
    raw.send(attach("boiler", True, 9))
    raw.closed("amqp:not-allowed")


def test_rejections(door):
    """a request that is refused has a condition and HTTPS's error JSON, and the link goes on"""
    peer = door.peer()
    name, error, _ = peer.rejected("iotdps-get-registration")
    same((name, error["errorCode"]), ("amqp:not-found", 404001), "no such request")
    name, error, _ = peer.rejected(STATUS, "1.0")
    same((name, error["errorCode"]), ("amqp:not-found", 404203), "no such operation")
    peer.register()
    name, error, _ = peer.rejected(REGISTER)
    same((name, error["errorCode"]), ("amqp:unauthorized-access", 401007), "a nonce that was used")
    door.says("tracking=" + error["trackingId"])
    peer.end()


def test_refused_in_sasl(door):
    """unknown, another EK, another scope, disabled: an outcome instead of a challenge, and the reason in the log"""
    door.enroll("off", "--disabled")
    for name, ek, scope, code in (("nobody", None, SCOPE, 404201), ("boiler", door.srk_2b, SCOPE, 400004),
                                  ("boiler", None, "0neOTHER", 404202), ("off", None, SCOPE, 403201),
                                  ("../x", None, SCOPE, 400005), ("boiler", b"", SCOPE, 400004)):
        begin = len(door.log())
        raw = door.raw()
        raw.begin()
        raw.send(sasl_init(name, door.ek_2b if ek is None else ek, scope))
        raw.gets(CHALLENGE, b"\0")
        raw.send(response(b"\0" + door.srk_2b))
        raw.refused()
        door.says(f"event=refused method=sasl-response route=register .*errorCode={code}", begin)


def test_one_nonce(door):
    """the nonce is the same over HTTPS and AMQP: a token is good for one registration, through either"""
    door.enroll("both")
    keys = {"endorsementKey": door.ek_2b, "storageRootKey": door.srk_2b}
    body = json.dumps({"registrationId": "both", "tpm": {k: base64.b64encode(v).decode() for k, v in keys.items()}})
    path, form = f"/{SCOPE}/registrations/both/register?{API}", "Content-Type: application/json\r\n"
    answer = json.loads(door.service.tls().get(path, "PUT", body, form)[2])
    token = door.token("both", base64.b64decode(answer["authenticationKey"]))
    raw = door.raw()
    raw.name("both")
    raw.blob()
    raw.send(response(b"\0" + token.encode()))
    raw.gets(OUTCOME, 0)
    same(door.service.tls().get(path, "PUT", body, f"{form}Authorization: {token}\r\n")[0], 202, "over HTTPS")
    peer = Peer(raw)
    peer.attach("both")
    same(peer.rejected(REGISTER)[1]["errorCode"], 401007, "over AMQP, the same token")


def test_real_tpm(door):
    """dps-device and a client of AMQP take turns on one registration"""
    device = Device("libtpms")
    door.bench.enroll(device, "turns")
    door.bench.register(device, "turns")
    door.bench.admin("delete", "turns")
    door.enroll("turns")
    same(door.peer("turns").register()["substatus"], "reprovisionedToInitialAssignment", "substatus")


def test_throttled():
    """too many challenges: outcome 4; too many results: a rejection that says when to come back"""
    door = Door("--challenge-rate", "2")
    peer = door.peer()
    _, first = peer.ask(REGISTER)
    delivery = peer.send(STATUS, first["operationId"])
    for _ in range(100):
        if delivery.remote_state == proton.Delivery.REJECTED:
            break
        peer.answer()
        delivery = peer.send(STATUS, first["operationId"])
    name, error, info = peer.reason(delivery)
    same((name, error["errorCode"]), ("com.microsoft:device-container-throttled", 429001), "rejection")
    check(1 <= int(info[proton.symbol("retry-after")]) <= 60, f"retry-after {info}")
    same(info[proton.symbol("Retry-After")], info[proton.symbol("retry-after")], "the name that C# reads")
    kind = CHALLENGE
    for _ in range(100):
        if kind != CHALLENGE:
            break
        raw = door.raw()
        raw.name()
        kind, fields = raw.frame()
    same((kind, fields[0]), (OUTCOME, TEMPORARY), "in the end")
    raw.ends()


def test_one_limit():
    """challenges over HTTPS and AMQP are counted together"""
    door = Door("--challenge-rate", "1")
    keys = {"endorsementKey": door.ek_2b, "storageRootKey": door.srk_2b}
    body = json.dumps({"tpm": {k: base64.b64encode(v).decode() for k, v in keys.items()}})
    form, kind = "Content-Type: application/json\r\n", CHALLENGE
    for i in range(20):  # each time another device: it has asked over HTTPS, and never over AMQP
        if kind != CHALLENGE:
            break
        door.enroll(f"d-{i}")
        path = f"/{SCOPE}/registrations/d-{i}/register?{API}"
        same(door.service.tls().get(path, "PUT", body, form)[0], 401, "over HTTPS")
        raw = door.raw()
        raw.name(f"d-{i}")
        kind, fields = raw.frame()
    same((kind, fields[0]), (OUTCOME, TEMPORARY), "over AMQP")


def test_workers():
    """several processes: each conversation is one's, and devices come back to any"""
    door = Door("--workers", "3")
    for i in range(4):
        door.enroll(f"d-{i}")
    peers = [door.peer(f"d-{i}") for i in range(4) for _ in range(2)]
    for i, peer in enumerate(peers):
        if i % 2 == 0:
            peer.register()
        else:
            same(peer.rejected(REGISTER)[1]["errorCode"], 401007, "both had the same nonce")
    for i in range(4):
        door.peer(f"d-{i}").register()


def test_options(door):
    """--amqp stands last in the port file"""
    check(f"127.0.0.1:{door.port} (AMQP)" in door.service.read("out"), "the line that says it is ready")
    raw = door.raw()
    raw.send(SASL_HEADER)
    same(raw.take(8), SASL_HEADER, "header")
