# SPDX-License-Identifier: MIT
"""dps-admin against dps-service: imports of ten thousand enrollments that are killed, interrupted and resumed, and the
other commands; and against a service that is busy and particular.

Needs the standard library and openssl."""

import base64
import csv
import hashlib
import http.server
import io
import json
import os
import random
import re
import signal
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

from server_harness import Service, make_certificate
from tap import Failed, Programs, check, same

COUNT = 10000
PATIENT = "handshake=5000,head=5000,body=5000,stall=5000,idle=20000,write=5000,linger=400,drain=5000"


def key_bytes(number):
    """TPM2B_PUBLIC of the default EK template with a modulus of its own."""
    policy = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
    modulus = b"\xc3" + hashlib.sha512(str(number).encode()).digest() * 3 + b"\x55" * 62 + b"\x01"
    public = (bytes.fromhex("0001000b000300b20020") + policy + bytes.fromhex("00060080004300100800000000000100")
              + modulus)
    return len(public).to_bytes(2, "big") + public


def key(number):
    return base64.b64encode(key_bytes(number)).decode()


class Admin:
    """dps-admin with a service to talk to."""

    def __init__(self, directory, connection, port, ca):
        self.dir = directory
        self.base = [Programs.path("dps-admin"), "--connection-string-file", connection, "--ca", ca,
                     "--connect-to", f"127.0.0.1:{port}"]

    def start(self, *arguments, **options):
        return subprocess.Popen([*self.base, *arguments], cwd=self.dir, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run(self, *arguments, code=0, stdin=None):
        run = subprocess.run([*self.base, *arguments], cwd=self.dir, capture_output=True, text=True, input=stdin,
                             timeout=600)
        if run.returncode != code:
            raise Failed(f"{arguments}: exit code {run.returncode}, wanted {code}: {run.stdout}{run.stderr}")
        return run


def new_service():
    service = Service(timeouts=PATIENT)
    string = subprocess.run([Programs.path("dps-admin"), "connection-string", "--policy-file", "policies.json",
                             "--host", "localhost"], cwd=service.dir, capture_output=True, text=True, check=True).stdout
    service.write("connection", string)
    return service, Admin(service.dir, "connection", service.tls_port, "cert.pem")


def listed(admin):
    """What the service has stored, without the members that it adds itself."""
    lines = [json.loads(line) for line in admin.run("list", "--format", "json").stdout.splitlines()]
    found = {}
    for e in lines:
        check(e["registrationId"] not in found, f"{e['registrationId']} is listed twice")
        found[e["registrationId"]] = (e["attestation"]["tpm"]["endorsementKey"], e.get("deviceId"),
                                      tuple(e.get("iotHubs", ())), e["provisioningStatus"])
    return found


def report(path):
    with open(path, newline="") as f:
        rows = list(csv.reader(f))
    same(rows[0], ["line", "registrationId", "errorCode", "message"], "the report's first line")
    return rows[1:]


# Lines that must be refused, each with the ID and the errorCode of the report and a piece of its message.
BAD = [
    ("a b,KEY,,,", "a b", 0, "registrationId"),
    (",KEY,,,", "", 0, "no registrationId"),
    ("bad-1,,,,", "bad-1", 0, "no endorsementKey"),
    ("bad-2,hello,,,", "bad-2", 0, "endorsementKey"),
    ("bad-3,KEY,,", "", 0, "fields"),
    ("bad-4,KEY,,,,x", "", 0, "fields"),
    ('bad-5,"KEY,,,', "", 0, "quoted field does not end"),
    ('bad-6,KE"Y,,,', "", 0, "quote inside"),
    ("bad-7,KEY,a b,,", "bad-7", 0, "deviceId"),
    ("bad-8,KEY,,hub a,", "bad-8", 0, "iotHub"),
    ("bad-9,KEY,,,maybe", "bad-9", 0, "provisioningStatus"),
    ("bad-\xff,KEY,,,", "", 0, "UTF-8"),
    ("bad-10,-----BEGIN PRIVATE KEY-----,,,", "bad-10", 0, "endorsementKey"),
    ("DEV-00003,KEY,,,", "DEV-00003", 409201, "exists"),  # with another key
    ("x" * 70000, "", 0, "longer"),
    ("x" * 200 + ",KEY,,,", "", 0, "registrationId"),
]


def write_table(path):
    """A table with bad lines in it. Returns what should be enrolled, and what should be reported."""
    out, good, bad, line = ["\ufeffregistrationId,endorsementKey,deviceId,iotHub,provisioningStatus\r\n"], {}, [], 1
    places = {(i + 1) * COUNT // (len(BAD) + 1): entry for i, entry in enumerate(BAD)}
    for i in range(COUNT):
        if i in places:
            text, name, code, message = places[i]
            out.append(text.replace("KEY", key(-1)) + "\n")
            line += 1
            bad.append((str(line), name, str(code), message))
        name, device, hub, status = f"Dev-{i:05}", "", "", ""
        if i % 3 == 0:
            device = f"pump,{i}"
        if i % 5 == 0:
            hub = "hub-b.example"
        if i % 7 == 0:
            status = "disabled"
        text = key_bytes(i).hex() if i % 11 == 0 else key(i)
        out.append(f'{name},{text},"{device}",{hub},{status}' + ("\r\n" if i % 2 else "\n"))
        line += 1
        good[name.lower()] = (key(i), device or None, (hub,) if hub else (), status or "enabled")
        if i % 1000 == 999:
            out.append("\n")
            line += 1
    with open(path, "wb") as f:
        f.write("".join(out).rstrip("\n").encode("utf-8").replace(b"\xc3\xbf", b"\xff"))
    return good, bad


def same_report(path, bad):
    rows = report(path)
    same([row[0] for row in rows], [b[0] for b in bad], "reported lines")
    for row, (_, name, code, message) in zip(rows, bad):
        same(row[1:3], [name, code], f"line {row[0]} of the report")
        check(message in row[3], f"line {row[0]} says {row[3]!r}, and nothing of {message!r}")


def wait_progress(admin, process, at_least):
    """Waits until the file of --resume says that so many lines are done. False if the import was faster."""
    while process.poll() is None:
        try:
            with open(os.path.join(admin.dir, "state")) as f:
                if json.load(f)["line"] >= at_least:
                    return True
        except FileNotFoundError:
            pass
        time.sleep(0.005)
    return False


def test_import_killed():
    """ten thousand lines of CSV with bad ones, killed, interrupted and resumed: in the end exactly the right set"""
    service, admin = new_service()
    try:
        good, bad = write_table(os.path.join(admin.dir, "table.csv"))
        arguments = ["import", "table.csv", "--resume", "state", "--report", "refused.csv"]
        stops, line = 0, 0
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
            process = admin.start(*arguments)
            # Each time a bit further: past the next save, and then in the middle of something.
            if wait_progress(admin, process, line + 1):
                time.sleep(random.random() / 10)
                process.send_signal(number)
            out, err = process.communicate(timeout=600)
            if process.returncode not in (0, 1):
                stops += 1
                same(process.returncode, -9 if number == signal.SIGKILL else 128 + number, "exit code")
                check(number == signal.SIGKILL or ("the first" in out and "continues" in err), out + err)
            with open(os.path.join(admin.dir, "state")) as f:
                line = json.load(f)["line"]
        check(stops >= 1, "it was always faster than its signal")
        end = admin.run(*arguments, "--format", "json", code=1)
        result = json.loads(end.stdout)
        print(f"# stopped {stops} times; {result}")
        same(result["complete"], True, "complete")
        same(result["refused"], len(bad), "refused")
        same(result["enrolled"] + result["unchanged"], COUNT, "enrolled and there already")
        same_report(os.path.join(admin.dir, "refused.csv"), bad)
        found = listed(admin)
        same(len(found), COUNT, "listed")
        same(found, good, "what is enrolled")
        # Once more: it has nothing left to do, and says the same.
        same(json.loads(admin.run(*arguments, "--format", "json", code=1).stdout), result, "at the end")
        same_report(os.path.join(admin.dir, "refused.csv"), bad)
        # Another file is not continued in the middle.
        with open(os.path.join(admin.dir, "table.csv"), "r+b") as f:
            f.seek(-5, os.SEEK_END)
            f.write(b"x")
        before = service.read("state")
        check("or is no longer, the file" in admin.run(*arguments, code=5).stderr, "a changed file was accepted")
        same(service.read("state"), before, "the kept state after that")
    finally:
        service.stop()


def test_import_rate():
    """ten thousand lines at once, then again: they are there already"""
    service, admin = new_service()
    try:
        with open(os.path.join(admin.dir, "table.csv"), "w") as f:
            f.write("endorsementKey,registrationId\n")
            f.writelines(f"{key(i)},dev-{i:05}\n" for i in range(COUNT))
        begin = time.monotonic()
        out = admin.run("import", "table.csv").stdout
        seconds = time.monotonic() - begin
        same(out, f"all {COUNT + 1} lines: {COUNT} enrolled, 0 there already, 0 refused\n", "the result")
        print(f"# {COUNT / seconds:.0f} enrollments/s")
        begin = time.monotonic()
        out = admin.run("import", "table.csv").stdout
        print(f"# {COUNT / (time.monotonic() - begin):.0f} lines/s that are there already")
        same(out, f"all {COUNT + 1} lines: 0 enrolled, {COUNT} there already, 0 refused\n", "the second time")
        begin = time.monotonic()
        status = json.loads(admin.run("status", "--format", "json").stdout)
        print(f"# status in {time.monotonic() - begin:.1f} s")
        same((status["enrollments"], status["enabled"], status["disabled"]), (COUNT, COUNT, 0), "status")
        check(abs(status["clockAheadSeconds"]) <= 60, "the clock")
    finally:
        service.stop()


def test_import_json():
    """JSON lines, as list prints them; update; what cannot be imported"""
    service, admin = new_service()
    try:
        twin = {"tags": {"site": "\u00fc"}, "properties": {"desired": {"a": [1, {"b": None}]}}}
        objects = [{"registrationId": f"j{i}", "initialTwin": twin, "iotHubs": ["hub-a.example"],
                    "attestation": {"type": "tpm", "tpm": {"endorsementKey": key(i)}}} for i in range(25)]
        x509 = {"registrationId": "jx", "attestation": {"type": "x509"}}
        big = dict(objects[0], registrationId="big", payload="x" * 9000)
        huge = dict(objects[0], registrationId="huge", payload="x" * 20000)
        lines = [json.dumps(o) for o in objects]
        text = "\n".join(lines[:5] + ["7", "{", json.dumps(x509), json.dumps(big), json.dumps(huge), "",
                                      lines[0].replace("j0", "J0")] + lines[5:])
        out = admin.run("import", "-", "--report", "r.csv", code=1, stdin=text).stdout
        same(out, "all 32 lines: 25 enrolled, 1 there already, 5 refused\n", "the result")
        same([row[:3] for row in report(os.path.join(admin.dir, "r.csv"))],
             [["6", "", "0"], ["7", "", "0"], ["8", "jx", "400007"], ["9", "big", "413001"], ["10", "huge", "0"]],
             "the report")
        got = json.loads(admin.run("get", "j7", "--format", "json").stdout)
        same(got["initialTwin"], twin, "the twin")
        # What list prints, another service takes.
        second, other = new_service()
        try:
            printed = admin.run("list", "--format", "json").stdout
            same(other.run("import", "-", stdin=printed).stdout,
                 "all 25 lines: 25 enrolled, 0 there already, 0 refused\n", "the copy")
            same(listed(other), listed(admin), "both services")
        finally:
            second.stop()
        # What differs is refused, and updated if that is asked for.
        for change in ({"deviceId": "new"}, {"iotHubs": []}, {"provisioningStatus": "disabled"},
                       {"initialTwin": {"tags": {"site": "u"}}},
                       {"attestation": {"type": "tpm", "tpm": {"endorsementKey": key(99)}}}):
            run = admin.run("import", "-", code=1, stdin=json.dumps(dict(objects[3], **change)))
            check("line 1, j3: 409201" in run.stderr, run.stderr)
        changed = "\n".join(json.dumps(dict(objects[3], **change)) for change in
                            ({"deviceId": "new"}, {"registrationId": "no"}))
        run = admin.run("import", "-", "--mode", "update", code=1, stdin=changed)
        check("line 2, no: 404201" in run.stderr and "1 updated" in run.stdout, run.stdout + run.stderr)
        same(json.loads(admin.run("get", "j3", "--format", "json").stdout)["deviceId"], "new", "the update")
    finally:
        service.stop()


def test_import_usage():
    """mistakes are reported before anything is sent"""
    service, admin = new_service()
    try:
        for text, says in (("", "missing"), ("\n", "missing"), ("id,key\n",
                                                                'columns "id", "key", and none that is called '),
                           ("a b c\n", "called registrationId"), ("registrationId\nx\n", "called endorsementKey"),
                           ("registrationId;ek\n", "semicolon as separator"), ("a\tb\n", "tab as separator"),
                           ("sep=!\nregistrationId!ek\n", "line sep="),
                           ("registrationId,endorsementKey,deviceId,DEVICEID\n", "deviceId twice"),
                           ("Registration ID,endorsementKey,registration_id\n", "registrationId twice"),
                           ('"registrationId,endorsementKey\n', "not a line"),
                           ("PK\x03\x04workbook", "Excel")):
            check(says in admin.run("import", "-", code=5, stdin=text).stderr, f"{text!r}")
        check("--resume needs a file" in admin.run("import", "-", "--resume", "s", code=2, stdin="").stderr, "resume")
        service.write("t.csv", "registrationId,endorsementKey\n")
        check("overwrite" in admin.run("import", "t.csv", "--report", "t.csv", code=2).stderr, "report onto input")
        same(service.read("t.csv"), "registrationId,endorsementKey\n", "the input after that")
        check("create or update" in admin.run("import", "t.csv", "--mode", "upsert", code=2).stderr, "mode")
        admin.run("import", "absent.csv", code=5)
        admin.run("import", code=2)
        service.write("s", "no state")
        check("not what import --resume keeps" in admin.run("import", "t.csv", "--resume", "s", code=5).stderr, "state")
        same(service.read("s"), "no state", "a file that is no state")
        os.unlink(service.path("s"))
        same(admin.run("import", "t.csv", "--resume", "s").stdout,
             "all 1 lines: 0 enrolled, 0 there already, 0 refused\n", "an empty table")
        # Lines that are appended later are found by resuming.
        with open(service.path("t.csv"), "a") as f:
            f.write(f"late,{key(1)}\n")
        same(admin.run("import", "t.csv", "--resume", "s").stdout,
             "all 2 lines: 1 enrolled, 0 there already, 0 refused\n", "an appended line")
        service.stop()
        check("cannot connect to" in admin.run("import", "t.csv", code=4).stderr, "no service")
    finally:
        service.stop()


def encoded_tables():
    """Tables of two enrollments, as spreadsheets and exports write them."""
    header, rows = ["registrationId", "endorsementKey"], [["t0", key(0)], ["t1", key(1)]]

    def table(separator, end="\r\n", names=header, first=""):
        return first + "".join(separator.join(row) + end for row in [names, *rows])
    pem = "-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki(0)).decode() + "-----END PUBLIC KEY-----"
    return {
        "semicolon": table(";").encode(),
        "tab": table("\t").encode(),
        "bar": table("|").encode(),
        "sep=;": table(";", first="sep=;\r\n").encode(),
        "sep=!": table("!", first='"sep=!"\n').encode(),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + table(",").encode(),
        "UTF-16LE with a mark": table("\t").encode("utf-16"),
        "UTF-16BE with a mark": b"\xfe\xff" + table(";").encode("utf-16-be"),
        "UTF-16LE without a mark": table(",", "\n").encode("utf-16-le"),
        "blanks": table(" , ").encode(),
        "names as people write them": table(",", names=["Registration Id", "Endorsement_Key"]).encode(),
        "names of a flattened export": table(",", names=["registrationId", "attestation.tpm.endorsementKey"]).encode(),
        "no line end at the end": table(",").encode().rstrip(),
        "empty columns at the end": table(",").replace(key(0), key(0) + ",,").encode(),
        "blank lines": ("\n\n" + table(",", "\n\n")).encode(),
        "empty rows at the end": (table(";") + ';\r\n;;;\r\n"";""\r\n ; \r\n').encode(),
        "columns that are not used, in Windows-1252": "".join(",".join(row) + "\n" for row in (
            [*header, "Ger\xe4t"], ["t0", key(0), '"K\xe4lte, ""alt""\nzwei"'], ["t1", key(1), ""])).encode("cp1252"),
        "line ends in quotes": f'registrationId,endorsementKey\nt0,"{pem}"\nt1, "{key(1)}" \n'.encode(),
    }


def spki(number):
    """SubjectPublicKeyInfo of the same key."""
    pkcs1 = b"\x30\x82\x01\x0a\x02\x82\x01\x01\x00" + key_bytes(number)[-256:] + b"\x02\x03\x01\x00\x01"
    return bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00") + pkcs1


def test_import_tables():
    """separators, encodings, blanks, names, line ends in quotes, columns that are not used"""
    service, admin = new_service()
    try:
        done = 0
        for name, table in encoded_tables().items():
            with open(service.path("t.csv"), "wb") as f:
                f.write(table)
            run = admin.run("import", "t.csv")
            check(("2 enrolled, 0 there" if done == 0 else "0 enrolled, 2 there") in run.stdout, f"{name}: {run}")
            check(("not used" in run.stderr) == ("not used" in name), f"{name}: {run.stderr}")
            done += 1
        same(json.loads(admin.run("get", "t0", "--format", "json").stdout)["attestation"]["tpm"]["endorsementKey"],
             key(0),
             "the key")
        # One forgotten quote spoils one line; a line's number is where it begins.
        table = f'registrationId,endorsementKey\nq0,"{key(2)}\nq1,{key(3)}\nq2,"{key(4)}\n"\nq3,x\nq4,{key(5)},z\n'
        run = admin.run("import", "-", code=1, stdin=table)
        for says in ("line 2, : 0 a quoted field does not end", 'line 6, q3: 0 "endorsementKey',
                     'line 7, : 0 "it has 3 fields'):
            check(says in run.stderr, f"{says}: {run.stderr}")
        check("2 enrolled" in run.stdout, run.stdout)
    finally:
        service.stop()


def test_import_arrays():
    """the JSON array that `az iot dps enrollment list` prints; one key under several IDs is reported once"""
    service, admin = new_service()
    try:
        def listed_by_az(name, number):
            tpm = {"endorsementKey": key(number), "storageRootKey": None}
            return {"allocationPolicy": None, "attestation": {"symmetricKey": None, "tpm": tpm, "type": "tpm",
                                                              "x509": None},
                    "capabilities": {"iotEdge": False}, "createdDateTimeUtc": "2024-05-01T10:00:00.1234567+00:00",
                    "deviceId": None, "etag": '"1f00-0000-0100"', "initialTwin": None, "iotHubHostName": None,
                    "iotHubs": None, "provisioningStatus": "enabled", "registrationId": name, "registrationState": None}
        array = [listed_by_az(f"az{i}", i) for i in range(12)] + [listed_by_az("twin1", 3), listed_by_az("twin2", 3)]
        for text in (json.dumps(array, indent=2), json.dumps(array),
                     "\n".join(json.dumps(e, indent=4) for e in array)):
            run = admin.run("import", "-", stdin=text)
            same(run.stderr.count("key of another registrationId"), 1, "one note")
            check("2 enrollments have the key of another" in run.stderr, run.stderr)
        check("0 enrolled, 14 there already" in run.stdout, run.stdout)
        # Longer than the buffer, in UTF-16, stopped and resumed.
        many = json.dumps([listed_by_az(f"many{i}", 100 + i) for i in range(300)], indent=2)
        with open(service.path("many.json"), "wb") as f:
            f.write(many.encode("utf-16"))
        run = admin.run("import", "many.json", "--resume", "s")
        check("300 enrolled" in run.stdout, run.stdout)
        state = json.loads(service.read("s"))
        same(state["offset"], os.path.getsize(service.path("many.json")), "the place in a file of UTF-16")
        run = admin.run("import", "-", code=1, stdin='[{"registrationId":"a"},\n7,\n"b",\n{"registrationId":')
        check("0 enrolled" in run.stdout and "line 2, : 0 it is not one JSON object" in run.stderr, run)
    finally:
        service.stop()


def test_commands():
    """disable, enable, status, list"""
    service, admin = new_service()
    try:
        twin = {"tags": {"a": 1}}
        body = {"registrationId": "pump", "deviceId": "P", "initialTwin": twin,
                "attestation": {"type": "tpm", "tpm": {"endorsementKey": key(1)}}}
        admin.run("import", "-", stdin=json.dumps(body))
        before = json.loads(admin.run("get", "pump", "--format", "json").stdout)
        same(admin.run("disable", "pump").stdout, "pump: disabled\n", "disable")
        same(admin.run("disable", "pump").stdout, "pump: was already disabled\n", "disable twice")
        after = json.loads(admin.run("get", "pump", "--format", "json").stdout)
        same(dict(before, provisioningStatus="disabled", etag=after["etag"],
                  lastUpdatedDateTimeUtc=after["lastUpdatedDateTimeUtc"]), after, "all but the status stays")
        text = admin.run("status").stdout
        for pattern in (r"service +localhost:\d+ answers", r"clock +as that of the service", r"enrollments +1",
                        r"enabled +0", r"disabled +1", r"registered +0", r"not registered yet +1"):
            check(re.search(pattern, text), f"{pattern}: {text}")
        enabled = json.loads(admin.run("enable", "PUMP", "--format", "json").stdout)
        same(enabled["provisioningStatus"], "enabled", "enable")
        check("404201" in admin.run("disable", "absent", code=1).stderr, "no such enrollment")
        admin.run("disable", "a b", code=2)
        check("pump" in admin.run("list").stdout, "list")
        service.stop()
        check("cannot connect to" in admin.run("status", code=4).stderr, "status without a service")
    finally:
        service.stop()


class Particular(http.server.BaseHTTPRequestHandler):
    """A service that is busy at first, refuses a whole request for one bad enrollment, and stores none twice."""

    protocol_version = "HTTP/1.1"
    existing = {}
    busy = [503, 429, 429]
    requests = []

    def answer(self, status, value, *headers):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ids = [e["registrationId"] for e in body["enrollments"]]
        self.requests.append(len(ids))
        if self.busy:
            self.answer(self.busy.pop(), {"errorCode": 429001, "message": "busy"}, ("Retry-After", "0"))
        elif "poison" in ids:
            self.answer(400, {"errorCode": 400999, "message": "Poison."})
        else:
            errors = [{"registrationId": i, "errorCode": 409201, "errorStatus": "Already there"}
                      for i in ids if i in self.existing]
            told = "gone" not in ids or "gone" in self.existing
            self.existing.update((e["registrationId"], e) for e in body["enrollments"])
            if told:
                self.answer(200, {"isSuccessful": not errors, "errors": errors})
            else:
                self.close_connection = True

    def do_GET(self):
        name = self.path.split("/")[2].split("?")[0]
        # Like the real service: with members that nobody asked for.
        self.answer(200, dict(self.existing[name], capabilities={"iotEdge": False}, iotHubs=[],
                              provisioningStatus="enabled", etag="\"1\""))

    def log_message(self, *_):
        pass


class Several(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def test_other_service():
    """a service that is busy, refuses whole requests, and breaks off after it has done what was asked"""
    with tempfile.TemporaryDirectory(dir=Programs.root) as directory:
        make_certificate(directory, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"))
        server = Several(("127.0.0.1", 0), Particular)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open(os.path.join(directory, "connection"), "w") as f:
            f.write("HostName=localhost;SharedAccessKeyName=owner;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==\n")
        os.chmod(f.name, 0o600)
        admin = Admin(directory, "connection", server.server_port, "cert.pem")
        ids = [f"d{i}" for i in range(25)]
        ids[4], ids[13] = "poison", "gone"
        table = io.StringIO()
        table.write("registrationId,endorsementKey\n")
        table.writelines(f"{name},{key(i)}\n" for i, name in enumerate(ids))
        run = admin.run("import", "-", code=1, stdin=table.getvalue())
        same(run.stdout, "all 26 lines: 14 enrolled, 10 there already, 1 refused\n", "the result")
        check("line 6, poison: 400999 Poison." in run.stderr, run.stderr)
        same(run.stderr.count("busy; trying again in 0 s"), 3, "patience")
        same(sorted(Particular.existing), sorted(set(ids) - {"poison"}), "what is there")
        same(Particular.requests, [10] * 3 + [10] + [1] * 10 + [10, 10, 5], "enrollments of each request")
        server.shutdown()
