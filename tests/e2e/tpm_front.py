# SPDX-License-Identifier: MIT
"""A front to a real swtpm, in either protocol over TCP, whose answers to TPM2_GetCapability can look like other
TPMs': it hides some properties, or lists few values at a time."""

import socket
import struct
import threading

from waiting import PATIENCE, end_listening

GET_CAPABILITY, CAP_ALGORITHMS, CAP_PROPERTIES = 0x17A, 0, 6
POWER_ON, SEND_COMMAND, NV_ON = 1, 8, 11


def receive(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


class Front:
    """protocol: swtpm or mssim. untold: TPM_PT numbers that this TPM does not have. page: values in an answer.
    renamed: algorithms that it has under another number."""

    def __init__(self, tpm, protocol="swtpm", untold=(), page=None, renamed=None):
        self.tpm, self.untold, self.page, self.renamed = tpm, untold, page, renamed or {}
        self.listeners = self.listen(2 if protocol == "mssim" else 1)
        self.port = self.listeners[0].getsockname()[1]
        self.name = f"{protocol}:127.0.0.1:{self.port}"
        serve = self.simulator if protocol == "mssim" else self.plain
        threading.Thread(target=self.accept, args=(self.listeners[0], serve), daemon=True).start()
        for listener in self.listeners[1:]:
            threading.Thread(target=self.accept, args=(listener, self.platform), daemon=True).start()

    @staticmethod
    def listen(count):
        """Ports one after the other, any of which may be taken."""
        while True:
            first = socket.create_server(("127.0.0.1", 0))
            try:
                port = first.getsockname()[1]
                return [first] + [socket.create_server(("127.0.0.1", port + i)) for i in range(1, count)]
            except (OSError, OverflowError):
                first.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            end_listening(listener)

    def accept(self, listener, serve):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.guard, args=(client, serve), daemon=True).start()

    @staticmethod
    def guard(client, serve):
        with client:
            client.settimeout(PATIENCE)
            try:
                while True:
                    serve(client)
            except OSError:
                pass

    def plain(self, client):
        head = receive(client, 10)
        client.sendall(self.answer(head + receive(client, int.from_bytes(head[2:6], "big") - 10)))

    def simulator(self, client):
        """TpmTcpProtocol: whoever does not speak it is cut off, as by the simulator."""
        if int.from_bytes(receive(client, 4), "big") != SEND_COMMAND:
            raise ConnectionError("no such interface command")
        size = struct.unpack(">BI", receive(client, 5))[1]
        response = self.answer(receive(client, size))
        client.sendall(struct.pack(">I", len(response)) + response + bytes(4))

    @staticmethod
    def platform(client):
        if int.from_bytes(receive(client, 4), "big") not in (POWER_ON, NV_ON):
            raise ConnectionError("no such signal")
        client.sendall(bytes(4))

    def answer(self, command):
        if int.from_bytes(command[6:10], "big") != GET_CAPABILITY:
            return self.ask(command)
        kind, first, count = struct.unpack(">III", command[10:22])
        while kind == CAP_PROPERTIES and first in self.untold:
            first += 1  # a TPM continues with the next that it has
        response = bytearray(self.ask(command[:10] + struct.pack(">III", kind, first, min(count, self.page or count))))
        for at in range(19, len(response) if kind == CAP_ALGORITHMS else 0, 6):
            algorithm = int.from_bytes(response[at:at + 2], "big")
            response[at:at + 2] = self.renamed.get(algorithm, algorithm).to_bytes(2, "big")
        return bytes(response)

    def ask(self, command):
        with self.tpm.connect() as sock:
            sock.sendall(command)
            response = receive(sock, 10)
            return response + receive(sock, int.from_bytes(response[2:6], "big") - 10)
