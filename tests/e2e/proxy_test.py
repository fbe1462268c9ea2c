# SPDX-License-Identifier: MIT
"""dps-device behind an HTTP proxy: everything goes through CONNECT, and what the proxy says reaches the user.

Needs the standard library and openssl."""

import base64
import os
import socket
import threading

from harness import HUBS, Bench, Device, write_file
from tap import check, same
from waiting import end_listening

SILENCE = 15  # seconds after which the proxy hangs up: before the device does

NETWORK = 4  # the exit code of a network that fails
USAGE = 2
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n"
USER, PASSWORD = "CORP\\dev", "p@ss:w/rd%"
IN_URL = "CORP%5Cdev:p%40ss%3Aw%2Frd%25"


class Proxy:
    """Answers CONNECT with `answer`, sent in pieces of `piece` bytes, and opens the tunnel if that says 2xx. Only
    it knows where names lead. cut_after: so many tunnels are cut when the first answer has come through, before
    the next request. password: whoever does not send it gets a 407 instead, which offers these schemes."""

    def __init__(self, names, answer=ESTABLISHED + b"\r\n", piece=None, cut_after=0, password=None,
                 schemes=('Basic realm="corp"',)):
        self.names, self.answer, self.piece, self.cut_after = names, answer, piece or len(answer), cut_after
        self.shown = password and "Basic " + base64.b64encode(password.encode()).decode()
        self.demand = ("HTTP/1.1 407 X\r\n" + "".join(f"Proxy-Authenticate: {s}\r\n" for s in schemes) +
                       "Content-Length: 0\r\n\r\n").encode()
        self.requests, self.from_device, self.errors = [], [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_listening(self.listener)

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            client.settimeout(SILENCE)
            try:
                self.tunnel(client)
            except OSError as error:
                self.errors.append(error)

    def tunnel(self, client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)  # what follows belongs to the tunnel
            if not byte:
                return
            head += byte
        self.requests.append(head.decode())
        if self.shown and f"\r\nProxy-Authorization: {self.shown}\r\n" not in head.decode():
            client.sendall(self.demand)
            return
        cut = len(self.requests) <= self.cut_after
        for at in range(0, len(self.answer), self.piece):
            client.sendall(self.answer[at:at + self.piece])
        target = head.split(b" ")[1].decode()
        final = self.answer[self.answer.rfind(b"HTTP/1."):]
        if final[8:10] != b" 2" or target not in self.names:
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.create_connection(("127.0.0.1", self.names[target]), SILENCE) as server:
            stop = threading.Event()
            backward = threading.Thread(target=self.backward, args=(server, client, cut, stop), daemon=True)
            backward.start()
            self.forward(client, server, stop)
            backward.join(SILENCE)

    def forward(self, client, server, stop):
        try:
            while data := client.recv(4096):
                self.from_device.append(data)
                if not stop.is_set():
                    server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction has cut it

    @staticmethod
    def backward(server, client, cut, stop):
        """Records are counted: application data (23) is the first answer, after the handshake."""
        data = b""
        try:
            while got := server.recv(4096):
                data += got
                while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
                    if cut and data[0] == 23:
                        stop.set()  # nothing more reaches the service: the next request is not half done
                        server.settimeout(0.2)
                    data = data[5 + int.from_bytes(data[3:5], "big"):]
                client.sendall(got)
        except OSError:
            pass
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Lab:
    def __init__(self):
        self.bench, self.device = Bench(), Device("libtpms")
        self.bench.enroll(self.device, "behind")
        port = self.bench.service.tls_port
        self.service = f"localhost:{port}"
        self.names = {self.service: port, **{f"{hub}:443": port for hub in HUBS}}

    def register(self, proxy, *options, **expected):
        named = [] if proxy is None else ["--proxy", proxy if isinstance(proxy, str) else proxy.url]
        return self.bench.register(self.device, "behind", *named, *options, **expected)


def test_register_and_send(lab):
    """register and send, to names that only the proxy knows; the proxy sees nothing but TLS"""
    with Proxy(lab.names) as proxy:
        lab.register(proxy)
        same(proxy.requests, [f"CONNECT {lab.service} HTTP/1.1\r\nHost: {lab.service}\r\n\r\n"], "requests")
        sent = b"".join(proxy.from_device)
        check(sent[0] == 22 and b"registrations" not in sent and b"Shared" not in sent, "the tunnel carries TLS")
        hub = lab.bench.table("registrations")["behind"]["assignedHub"]
        lab.device.run("send", "--state", lab.device.path("state"), "--ca", lab.bench.path("ca.pem"),
                       "--proxy", proxy.url, "--message", "x")
        same(proxy.requests[1:], [f"CONNECT {hub}:443 HTTP/1.1\r\nHost: {hub}:443\r\n\r\n"], "requests")
        same(proxy.errors, [], "errors of the proxy")


def test_odd_success(lab):
    """other ways to accept: another 2xx, headers that mean nothing here, HTTP/1.0, byte by byte"""
    for answer in (b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 299 \r\nVia: 1.1 p\r\nContent-Length: 7\r\n\r\n",
                   ESTABLISHED + b"Transfer-Encoding: chunked\r\nProxy-Agent: x\r\n\r\n",
                   b"HTTP/1.1 100 Continue\r\n\r\n" + ESTABLISHED + b"\r\n"):
        with Proxy(lab.names, answer, piece=1) as proxy:
            lab.register(proxy)


def test_refusals(lab):
    """the proxy refuses: its status is reported, and nothing changes"""
    before = lab.bench.dump()
    for status, advice in ((407, "write USER:PASSWORD"), (403, "ask whoever runs it"), (502, "see whether its name"),
                           (302, "see whether an HTTP proxy")):
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status
        with Proxy(lab.names, answer) as proxy:
            lab.register(proxy, status=NETWORK, says=(f"the proxy {proxy.url} (--proxy) answered {status}",
                                                      lab.service, "What to do: " + advice))
    same(lab.bench.dump(), before, "the store")


def has_no_password(lab, result):
    for text in (PASSWORD, "p%40ss", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        check(text not in result.err + result.out, f"the password is told: {result.err}")
    return result


def test_with_password(lab):
    """a proxy that wants a password: from the URL, a file or the environment; for both programs, and never shown"""
    file = write_file(lab.device.path("proxy-auth"), f"{USER}:{PASSWORD}\n")
    with Proxy(lab.names, password=f"{USER}:{PASSWORD}") as proxy:
        place = proxy.url[len("http://"):]
        url = f"http://{IN_URL}@{place}"
        for trace in ("--trace", "--trace=json", "--verbose"):
            has_no_password(lab, lab.register(url, trace))
        lab.register(proxy.url, "--proxy-auth-file", file)
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            env = {**os.environ, name: url}
            told = has_no_password(lab, lab.register(None, "--verbose", env=env))
            check(f"through the proxy {place} ({name})" in told.err, told.err)
            lab.register(None, "--proxy-auth-file", file, env={**os.environ, name: place})
        lab.bench.admin("list", "--proxy", url)
        lab.bench.admin("list", "--proxy", proxy.url, "--proxy-auth-file", file)
        lab.bench.admin("list", env={**os.environ, "HTTPS_PROXY": url})
        same({r.split(" ")[1] for r in proxy.requests}, {lab.service}, "places")
        same(len(proxy.requests), 3 + 1 + 8 + 3, "requests")
        # Not used for hosts that are not meant for it.
        for exception in ("localhost", "*", "x,.localhost"):
            env = {**os.environ, "HTTPS_PROXY": url, "NO_PROXY": exception}
            lab.register(None, env=env)
            lab.bench.admin("list", env=env)
        lab.register("none", env={**os.environ, "HTTPS_PROXY": url})
        same(len(proxy.requests), 15, "requests")


def test_without_password(lab):
    """a proxy that wants a password and gets none, a wrong one, or does not know Basic: the message says what to do"""
    wrong = write_file(lab.device.path("wrong-auth"), "u:wrong")
    for options, schemes, says in (
            ((), ('Basic realm="corp"',), "--proxy-auth-file FILE"),
            ((), ("Negotiate", "NTLM", 'Basic realm="corp"'), "--proxy-auth-file FILE"),
            ((), ('Digest realm="a, b", nonce="x", Basic realm="corp"',), "--proxy-auth-file FILE"),
            ((), (), "--proxy-auth-file FILE"),
            (("--proxy-auth-file", wrong), ('basic realm="corp"',), "does not take the name and password"),
            ((), ("Negotiate", "NTLM"), "takes only Negotiate, NTLM"),
            (("--proxy-auth-file", wrong), ('Digest realm="x"',), "takes only Digest")):
        with Proxy(lab.names, password="u:p", schemes=schemes) as proxy:
            for result in (lab.register(proxy, *options, status=NETWORK, says=("answered 407", says, "What to do")),
                           lab.bench.admin("list", "--proxy", proxy.url, *options, status=NETWORK,
                                           says=("answered 407", says, "What to do"))):
                check("wrong" not in result.err.replace("wrong-auth", ""), result.err)


def test_no_proxy_at_all(lab):
    """something that is no proxy, hangs up, or is not there"""
    for answer in (b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\0" * 5000):
        with Proxy(lab.names, answer) as proxy:
            lab.register(proxy, status=NETWORK, says=proxy.url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = "http://127.0.0.1:%d" % taken.getsockname()[1]
    lab.register(url, status=NETWORK, says=(f"cannot connect to the proxy {url}", "refused", "What to do"))
    lab.bench.admin("list", "--proxy", url, status=NETWORK, says=(f"cannot connect to the proxy {url}", "refused"))


def test_nowhere(lab):
    """a proxy that accepts and then cannot reach the service"""
    with Proxy({}) as proxy:
        lab.register(proxy, status=NETWORK)


def test_cut_tunnel(lab):
    """a tunnel that is cut between two requests is made again, once"""
    with Proxy(lab.names, cut_after=1) as proxy:
        lab.register(proxy)
        same(len(proxy.requests), 2, "tunnels")


def test_wrong_option(lab):
    """--proxy and the variables take http://HOST:PORT: a missing port is named, a password is not"""
    for url, says in (("https://127.0.0.1:1", "not supported"), ("socks5://127.0.0.1:1", "not supported"),
                      ("http://127.0.0.1", "names no port"), ("http://u:geheim@127.0.0.1", "names no port"),
                      ("http://u:geheim%@127.0.0.1:1", "--proxy-auth-file")):
        for result in (lab.register(url, status=USAGE, says=("--proxy", says)),
                       lab.register(None, status=USAGE, says=("HTTPS_PROXY", says),
                                    env={**os.environ, "HTTPS_PROXY": url}),
                       lab.bench.admin("list", "--proxy", url, status=USAGE, says=("--proxy", says))):
            check("geheim" not in result.err, result.err)


def shared():
    return Lab()
