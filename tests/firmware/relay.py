# SPDX-License-Identifier: MIT
"""The other end of a board's serial lines: hands its TPM messages to swtpm, and is its modem (port/bare/bare.h).

    relay.py --tpm HOST:PORT --tpm-socket PATH --modem-socket PATH [--connect NAME:PORT=HOST:PORT ...]

QEMU connects its lines to the two Unix sockets (-chardev socket,path=PATH). --connect redirects what the board dials;
without any, names are looked up as usual. Ends with SIGTERM or SIGINT."""
import argparse
import os
import socket
import struct
import sys
import threading

MARK = 0x7e
DONE, NO_CONNECTION, TIMED_OUT, NOT_UNDERSTOOD = range(4)
LARGEST = 1024
HALF_A_MESSAGE = 10.0  # seconds to wait for the rest


class Gone(Exception):
    """The board hung up: it was switched off."""


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise Gone
        data += more
    return data


class Line:
    """A Unix socket that a board's serial line connects to, again after each boot."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.closing = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def run(self):
        while not self.closing:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            with line:
                try:
                    self.serve(line)
                except (Gone, OSError):
                    pass
                self.hung_up()

    def message(self, line, head_size, size_of):
        """One message: its first byte may come at any time, the others soon after. None: it stopped in the middle."""
        line.settimeout(None)
        data = read_exactly(line, 1)
        line.settimeout(HALF_A_MESSAGE)
        try:
            data += read_exactly(line, head_size - 1)
            return data + read_exactly(line, size_of(data))
        except socket.timeout:
            return None

    def hung_up(self):
        pass

    def close(self):
        self.closing = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class TpmLine(Line):
    """Collects whole commands: swtpm takes the bytes of one read for the whole command."""

    HEAD = 10  # tag, size, command or response code

    def __init__(self, path, connect):
        super().__init__(path)
        self.connect, self.commands = connect, 0

    def serve(self, line):
        with self.connect() as server:
            while True:
                command = self.message(line, self.HEAD, self.rest)
                if command is None:
                    continue
                server.sendall(command)
                response = read_exactly(server, self.HEAD)
                response += read_exactly(server, self.rest(response))
                self.commands += 1
                line.sendall(response)

    def rest(self, head):
        return max(0, min(struct.unpack(">I", head[2:6])[0], 4096) - self.HEAD)


class Modem(Line):
    """One TCP connection at a time."""

    HEAD = 5

    def __init__(self, path, redirect=None):
        super().__init__(path)
        self.redirect, self.tcp = redirect, None
        self.dialled = []  # (name, port), also when it failed

    def serve(self, line):
        while True:
            question = self.message(line, self.HEAD, lambda head: struct.unpack(">H", head[3:5])[0])
            if question is None or question[0] != MARK:
                continue
            status, payload = self.answer(chr(question[2]), question[self.HEAD:])
            line.sendall(struct.pack(">BBBH", MARK, question[1], status, len(payload)) + payload)

    def answer(self, operation, payload):
        try:
            if operation == "C":
                timeout, port = struct.unpack(">IH", payload[:6])
                return self.dial(payload[6:].decode("ascii"), port, timeout)
            if operation == "W" and len(payload) <= LARGEST:
                return self.send(payload)
            if operation == "R":
                timeout, most = struct.unpack(">IH", payload)
                return self.receive(timeout, min(most, LARGEST))
            if operation == "X":
                self.hung_up()
                return DONE, b""
        except (struct.error, UnicodeDecodeError):
            pass
        return NOT_UNDERSTOOD, b""

    def dial(self, name, port, timeout_ms):
        self.hung_up()
        self.dialled.append((name, port))
        target = (name, port) if self.redirect is None else self.redirect.get((name, port))
        if target is None:
            return NO_CONNECTION, b""
        try:
            self.tcp = socket.create_connection(target, timeout_ms / 1000)
            self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except socket.timeout:
            return TIMED_OUT, b""
        except OSError:
            return NO_CONNECTION, b""
        return DONE, b""

    def send(self, data):
        if self.tcp is None:
            return NO_CONNECTION, b""
        try:
            self.tcp.settimeout(60)
            self.tcp.sendall(data)
        except OSError:
            return NO_CONNECTION, b""
        return DONE, b""

    def receive(self, timeout_ms, most):
        if self.tcp is None:
            return NO_CONNECTION, b""
        try:
            self.tcp.settimeout(max(timeout_ms, 1) / 1000)
            data = self.tcp.recv(most)
        except socket.timeout:
            return DONE, b""
        except OSError:
            return NO_CONNECTION, b""
        return (DONE, data) if data else (NO_CONNECTION, b"")

    def hung_up(self):
        if self.tcp is not None:
            self.tcp.close()
            self.tcp = None


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tpm", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--tpm-socket", required=True, metavar="PATH")
    parser.add_argument("--modem-socket", required=True, metavar="PATH")
    parser.add_argument("--connect", action="append", metavar="NAME:PORT=HOST:PORT")
    options = parser.parse_args()
    redirect = None
    if options.connect:
        redirect = {address(dialled): address(target)
                    for dialled, target in (pair.split("=", 1) for pair in options.connect)}
    for path in (options.tpm_socket, options.modem_socket):
        if os.path.exists(path):
            os.unlink(path)
    tpm = TpmLine(options.tpm_socket, lambda: socket.create_connection(options.tpm)).start()
    modem = Modem(options.modem_socket, redirect).start()
    try:
        tpm.thread.join()
        modem.thread.join()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
