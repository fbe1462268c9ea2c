# SPDX-License-Identifier: MIT
"""dps-service behind nginx and HAProxy, with the configurations that port/posix/deploy offers: devices register and
send through them, dps-conformance gives the same results as directly, and the log names the client, whatever it claims
to be.

Needs nginx, haproxy and openssl."""
import functools
import json
import os
import socket
import ssl
import subprocess
import types

from front import PROXIES, Haproxy, free_port, need_programs
from harness import Bench, Device, run, write_file
from mqtt_harness import Hub, Paho, Raw, connect
from server_harness import API, SCOPE, Client, error_code, owner_token, request, trusting
from tap import Failed, Programs, check, same
from waiting import PATIENCE, wait_until

BODY_MAX = 131072


class Story:
    def __init__(self, kind, bench):
        self.kind, self.bench = kind, bench
        self.front = kind(bench.path("cert.pem"), bench.path("key.pem"), bench.service)
        self.name = "device-" + kind.__name__.lower()
        self.device = Device("libtpms")

    def client(self):
        context = self.bench.service.contexts[self.bench.service.read("cert.pem")]
        raw = socket.create_connection(("127.0.0.1", self.front.port), 60)
        return Client(context.wrap_socket(raw, server_hostname="localhost"))


def part_register(s):
    """a device registers through it, and sends"""
    at = f"https://localhost:{s.front.port}"
    s.bench.enroll(s.device, s.name)
    done = s.bench.register(s.device, s.name, "--service", at)
    same(done.field("Registered"), s.name, "registered")
    s.hub = done.field("Hub")
    s.bench.send(s.device, "--connect-to", f"localhost:{s.front.port}")
    def lines():
        return [line for line in s.bench.service.read("log").splitlines()
                if f"id={s.name}" in line and "register" in line]
    wait_until(lambda: len(lines()) >= 2, "the log has both requests")
    check(all("client=127.0.0.1" in line for line in lines()), "\n".join(lines()))


def part_client(s):
    """a client that claims another address is still known by the one that it comes from"""
    client = s.client()
    before = len(s.bench.service.read("log"))
    status, headers, _ = client.get(f"/registrations/nobody?{API}", headers="X-Forwarded-For: 192.0.2.99\r\n")
    same(status, 401, "status")
    check("x-ms-request-id" in headers, headers)
    s.bench.service.wait_log("status=401", before)
    line = s.bench.service.read("log")[before:]
    check("client=127.0.0.1" in line and "192.0.2.99" not in line, line)
    client.close()


def part_websocket(s):
    """a device that is connected over WebSocket sends, and the log names the client"""
    token = s.device.run("token", "--state", s.device.path("state")).out.strip()
    way = types.SimpleNamespace(bench=s.bench, user=f"{s.hub}/{s.name}", token=lambda: token)
    device = Paho(way, websocket=True, port=s.front.port, name=s.name)
    device.send(f"devices/{s.name}/messages/events/")
    device.stop()
    s.bench.service.wait_log(f"method=PUBLISH route=hub id={s.name} status=204")
    lines = [line for line in s.bench.service.read("log").splitlines() if f"PUBLISH route=hub id={s.name}" in line]
    check("client=127.0.0.1" in lines[0], lines[0])
    # One package asks for the root.
    client = s.client()
    handshake = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Protocol: mqtt\r\n")
    status, headers, _ = client.get("/", headers=handshake)
    same((status, headers.get("sec-websocket-protocol")), (101, "mqtt"), "at the root")
    client.close()


def part_refusals(s):
    """refusals pass through unchanged"""
    other = Device("libtpms")
    result = s.bench.register(other, s.name, "--service", f"https://localhost:{s.front.port}", status=1)
    check("401003" in result.err, result.err)


def part_large(s):
    """a request of the largest size passes; the answer to a larger one names the limit or is the proxy's own"""
    client, headers = s.client(), f"Authorization: {owner_token(s.bench.service)}\r\n"
    for size, status, codes in ((BODY_MAX, 400, (400002,)), (BODY_MAX + 8192, 413, (413001,))):
        answer = client.get(f"/enrollments?{API}", "POST", "x" * size, headers)
        same(answer[0], status, f"{size} bytes")
        check(error_code(answer) in codes, answer)
        client.close()
        client = s.client()
    client.close()


# HAProxy answers in HTML what it cannot parse at all, and no option changes that (tried with 2.6).
UNREADABLE = {
    "a header without a colon": "GET / HTTP/1.1\r\nHost: localhost\r\nno header\r\n\r\n",
    "a head of 40 KB": request("/enrollments/a", headers="".join(f"X-{i}: {'x' * 1000}\r\n" for i in range(40))),
    "a chunk that is none": "PUT /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
}
MALFORMED = {
    "no Host": "GET /enrollments/a HTTP/1.1\r\n\r\n",
    "a target of 12 KB": request("/enrollments/" + "a" * 12000),
    "another version": "GET / HTTP/3.7\r\nHost: localhost\r\n\r\n",
    "a method that is none": "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


def check_refusal(what, answer):
    """An errorCode, from the proxy or the service."""
    status, headers, body = answer
    check(status >= 400, f"{what}: {answer}")
    same(headers.get("content-type"), "application/json; charset=utf-8", f"{what}: {body} Content-Type")
    said = json.loads(body)
    same((str(said["errorCode"])[:3], bool(said["message"])), (str(status), True), f"{what}: {body}")
    same(headers.get("x-ms-error-code"), str(said["errorCode"]), f"{what}: header")


def part_errors(s):
    """the proxy's own refusals have an errorCode, like those of the service"""
    for what, text in MALFORMED.items():
        client = s.client()
        client.send(text)
        check_refusal(what, client.answer())
        client.close()
    for what, text in UNREADABLE.items():
        client = s.client()
        try:
            client.send(text)
            answer = client.answer()
        except (OSError, Failed):
            check(s.kind is Haproxy, f"{what}: no answer")  # it closed while the rest was still on its way
            continue
        if s.kind is Haproxy:
            same(answer[0], 400, what)
        else:
            check_refusal(what, answer)
        client.close()


def part_conformance(s):
    """dps-conformance passes as it does directly, SHOULD included"""
    port, owner = s.front.port, s.bench.path("conformance-owner")
    text = run(Programs.path("dps-admin"), "connection-string", "--policy-file", s.bench.path("policies.json"),
               "--host", "localhost").out
    s.bench.service.write("conformance-owner", text)

    def failed(at, hub):
        done = subprocess.run(
            [Programs.path("dps-conformance"), "--service", f"https://localhost:{at}", "--ca", s.bench.path("ca.pem"),
             "--scope", SCOPE, "--connect-to", f"127.0.0.1:{at}", "--strict", f"--hub=127.0.0.1:{hub}",
             "--connection-string-file", owner], capture_output=True, text=True, timeout=1500, check=False)
        check(done.stdout.count("\nok ") > 140, done.stdout[-2000:] + done.stderr)
        return [line for line in done.stdout.splitlines() if line.startswith("not ok")], done.stderr
    wrong, said = failed(port, port)
    same(wrong, [], f"failed through {s.kind.__name__}: {said}")


def part_secrecy(s):
    """every cipher suite that it negotiates has forward secrecy, and old versions of TLS are refused"""
    directory = Programs.directory()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", "key.pem", "-out", "cert.pem"], cwd=directory, check=True, stderr=subprocess.DEVNULL)
    front = s.kind(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"), s.bench.service)

    def negotiates(ciphers, version=ssl.TLSVersion.TLSv1_2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.set_ciphers(ciphers + ":@SECLEVEL=0")
        try:
            with socket.create_connection(("127.0.0.1", front.port), 60) as raw, context.wrap_socket(raw) as tls:
                return tls.cipher()[0]
        except (ssl.SSLError, ConnectionResetError):
            return None
    same(negotiates("ECDHE-RSA-AES128-GCM-SHA256"), "ECDHE-RSA-AES128-GCM-SHA256", "with forward secrecy")
    same([negotiates(c) for c in ("AES128-GCM-SHA256", "AES256-SHA", "kRSA")], [None] * 3, "without")
    same(negotiates("ECDHE-RSA-AES128-SHA"), None, "CBC with SHA-1")
    same(negotiates("ALL", ssl.TLSVersion.TLSv1_1), None, "TLS 1.1")
    front.stop()


def part_away(s):
    """no node runs: an errorCode, and when to try again"""
    s.bench.service.stop()
    try:
        client = s.client()
        answer = client.get(f"/enrollments/a?{API}", headers=f"Authorization: {owner_token(s.bench.service)}\r\n")
        check_refusal("nobody", answer)
        check(answer[0] in (502, 503) and int(answer[1]["retry-after"]) > 0, answer)
        client.close()
    finally:
        s.bench.start()


def names_its_clients():
    """HAProxy passes TLS through, and says who its client is"""
    proxy, port = "127.0.0.9", free_port()
    hub = Hub("--proxy-protocol", proxy)
    path = write_file(os.path.join(Programs.directory(), "haproxy.cfg"), f"""
        defaults
            mode tcp
            timeout connect 60s
            timeout client 60s
            timeout server 60s
        listen hub
            bind 127.0.0.1:{port}
            server node1 127.0.0.1:{hub.port} send-proxy-v2 source {proxy}
""")
    process = subprocess.Popen(["haproxy", "-db", "-f", path])
    Programs.cleanup.callback(lambda: (process.terminate(), process.wait(PATIENCE)))
    def answers():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    wait_until(answers, "HAProxy serves")
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, ("127.0.0.77", 0))
    client = Raw(trusting(cafile=hub.bench.path("ca.pem")).wrap_socket(plain, server_hostname=hub.hub))
    client.send(connect(hub.user, hub.token()))
    same(client.take(4), b"\x20\x02\x00\x00", "CONNACK")
    hub.says(r"method=CONNECT route=hub id=boiler status=204 .*peer=127\.0\.0\.77:")


def tests():
    need_programs()
    yield names_its_clients.__doc__, names_its_clients
    for kind in PROXIES:
        story = functools.cache(lambda kind=kind: Story(kind, Bench("--metrics", "127.0.0.1:0", "--websocket")))
        yield f"{kind.__name__}: it starts with the offered configuration", story
        for name, part in globals().items():
            if name.startswith("part_"):
                yield f"{kind.__name__}: {part.__doc__}", lambda part=part, story=story: part(story())
