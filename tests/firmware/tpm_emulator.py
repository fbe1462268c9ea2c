# SPDX-License-Identifier: MIT
"""QEMU's TPM devices (-tpmdev emulator) in front of a swtpm that others use too: this end of the control channel of
swtpm (its man page swtpm_ioctls) answers QEMU, takes the socket for TPM messages from it, and relays them to the swtpm.
So the TPM stays as it is while the board is off, and shows what a boot has left in it."""
import array
import socket
import struct
import threading

from relay import Gone, TpmLine, read_exactly

GET_CAPABILITY, INIT, SHUTDOWN, GET_ESTABLISHED, SET_LOCALITY = 1, 2, 3, 4, 5
CANCEL, RESET_ESTABLISHED, STOP, SET_DATAFD, SET_BUFFER_SIZE = 9, 11, 14, 16, 17
# Bit n - 1 of the capabilities means command n up to 5; later commands have bits of their own.
CAPABILITIES = 0x0F | 1 << 7 | 1 << 10 | 1 << 12 | 1 << 13
BUFFER_SIZE = 4096
OK = struct.pack(">I", 0)


class TpmEmulator(TpmLine):
    """The control channel is the line; the messages come over the socket that it brings."""

    def serve(self, line):
        while True:
            command, messages = self.control(line)
            line.sendall(self.reply(line, command))
            if messages is not None:
                threading.Thread(target=self.relay, args=(messages,), daemon=True).start()

    def relay(self, messages):
        with messages:
            try:
                super().serve(messages)
            except (Gone, OSError):
                pass

    def control(self, line):
        """The next command, and the socket that came with it."""
        data, ancillary, _, _ = line.recvmsg(4, socket.CMSG_SPACE(4))
        data += read_exactly(line, 4 - len(data))
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i", content)
                return int.from_bytes(data, "big"), socket.socket(fileno=fds[0])
        return int.from_bytes(data, "big"), None

    def reply(self, line, command):
        if command == GET_CAPABILITY:
            return struct.pack(">Q", CAPABILITIES)
        if command in (INIT, SET_LOCALITY, RESET_ESTABLISHED, SET_BUFFER_SIZE):
            read_exactly(line, 4)
        if command == GET_ESTABLISHED:
            return OK + bytes(4)
        if command == SET_BUFFER_SIZE:
            return struct.pack(">IIII", 0, BUFFER_SIZE, BUFFER_SIZE, BUFFER_SIZE)
        if command in (INIT, SHUTDOWN, SET_LOCALITY, CANCEL, RESET_ESTABLISHED, STOP, SET_DATAFD):
            return OK
        return struct.pack(">I", 10)  # TPM_BAD_ORDINAL

