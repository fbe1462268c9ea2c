# SPDX-License-Identifier: MIT
"""dps-device connect as a process at work, and a stand-in for a hub that answers as it is told."""

import contextlib
import signal
import socket
import ssl
import subprocess
import threading

from mqtt_harness import packet, text
from tap import Programs, check
from waiting import PATIENCE, end_listening, wait_until


class Connected:
    """A running `dps-device connect` of a mqtt_harness.Hub's device."""

    def __init__(self, hub, *options, port=None):
        self.out, self.err = hub.device.path("connect.out"), hub.device.path("connect.err")
        command = [Programs.path("dps-device"), "--quiet", "--tpm", hub.device.tpm.name, "connect", "--state",
                   hub.device.path("state"), "--ca", hub.bench.path("ca.pem"), "--connect-to",
                   f"localhost:{port or hub.port}", *options]
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err)
        Programs.cleanup.callback(self.kill)

    def text(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def says(self, words, count=1):
        wait_until(lambda: self.text(self.err).count(words) >= count or self.process.poll() is not None,
                   f"it says {words!r}")
        check(self.text(self.err).count(words) >= count, f"it never said {words!r}, but {self.text(self.err)}")

    def prints(self, words):
        wait_until(lambda: words in self.text(self.out), f"it prints {words!r}")

    def write(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def ends(self, status=0, number=None):
        """After the end of its input, or a signal."""
        if number:
            self.process.send_signal(number)
        else:
            self.process.stdin.close()
        return self.gone(status)

    def gone(self, status):
        code = self.process.wait(PATIENCE)
        check(code == status, f"exit code {code}, wanted {status}: {self.text(self.err)}")
        return self.text(self.err)

    def kill(self):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


class StandIn:
    """A TLS server with the hub's certificate. For each packet that it gets it sends the next answer; None: it closes.
    Afterwards it says nothing, and waits until the device goes."""

    def __init__(self, hub, *answers):
        self.answers, self.got = answers, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(hub.bench.path("cert.pem"), hub.bench.path("key.pem"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        end_listening(self.listener)
        self.thread.join(PATIENCE)

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                plain.settimeout(PATIENCE)
                with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as sock:
                    self.converse(sock)

    def converse(self, sock):
        for answer in self.answers:
            self.got.append(sock.recv(65536))
            if answer is None:
                return
            sock.sendall(answer)
        while sock.recv(65536):
            pass


class Flood(StandIn):
    """It then sends messages of QoS 0 without end."""

    def converse(self, sock):
        for answer in self.answers:
            self.got.append(sock.recv(65536))
            sock.sendall(answer)
        while True:
            sock.sendall(packet(0x30, text("devices/boiler/messages/devicebound/") + b"flood") * 20)


SIGNALS = signal.SIGTERM, signal.SIGINT
