"""Postgres's messages between a client and the local Neon's proxy or pooler.

Formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import socket
import struct
from collections.abc import Mapping

_CHUNK = 65536
_PROTOCOL = 3
_REQUESTS_FOR_ENCRYPTION = frozenset({80877103, 80877104})  # SSLRequest, GSSENCRequest
READY_FOR_QUERY, PARAMETER_STATUS, TERMINATE = b"Z", b"S", b"X"
_ANSWERED_WITH_READY = frozenset({b"Q", b"S", b"F"})  # Query, Sync, FunctionCall


class ConnectionClosed(EOFError):
    """The other side has closed the connection."""


class Wire:
    """A connection that is read by whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.startup_packet = b""  # as the client sent it
        self._received = bytearray()

    def messages(self) -> list[bytes]:
        """Wait for bytes; return the messages that are complete.

        Raises:
            ConnectionClosed: the other side has closed the connection.
        """
        data = self.socket.recv(_CHUNK)
        if not data:
            raise ConnectionClosed
        self._received += data
        complete, begin = [], 0
        while (end := self._end_of_message(begin)) is not None:
            complete.append(bytes(self._received[begin:end]))
            begin = end
        del self._received[:begin]
        return complete

    def send(self, *messages: bytes) -> None:
        """Send messages at once."""
        self.socket.sendall(b"".join(messages))

    def startup(self) -> dict[str, str] | None:
        """Read the client's startup parameters; None for a cancel request. Encryption is declined."""
        while True:
            (length,) = struct.unpack("!I", self._read_exactly(4))
            body = self._read_exactly(length - 4)
            self.startup_packet = struct.pack("!I", length) + body
            (code,) = struct.unpack("!I", body[:4])
            if code in _REQUESTS_FOR_ENCRYPTION:
                self.send(b"N")
            elif code >> 16 == _PROTOCOL:
                parts = body[4:].decode().split("\0")
                return {name: value for name, value in zip(parts[::2], parts[1::2], strict=False) if name}
            else:
                return None

    def take_remaining_bytes(self) -> bytes:
        """Return the bytes received after the last whole message, and forget them."""
        remaining = bytes(self._received)
        self._received.clear()
        return remaining

    def password(self) -> str:
        """Request the password in clear text.

        Raises:
            ConnectionClosed: the client has closed the connection.
        """
        self.send(message(b"R", struct.pack("!I", 3)))
        while not (answers := self.messages()):
            pass
        return text_of(answers[0])

    def _end_of_message(self, begin: int) -> int | None:
        if len(self._received) < begin + 5:
            return None
        (length,) = struct.unpack_from("!I", self._received, begin + 1)
        end = begin + 1 + int(length)
        return end if end <= len(self._received) else None

    def _read_exactly(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            data = self.socket.recv(count - len(read))
            if not data:
                raise ConnectionClosed
            read += data
        return read


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a message of this type with its length."""
    return kind + struct.pack("!I", len(body) + 4) + body


def kind_of(whole: bytes) -> bytes:
    """Return the type of a message."""
    return whole[:1]


def text_of(whole: bytes) -> str:
    """Return the first string of a message."""
    return whole[5:].split(b"\0", 1)[0].decode()


def is_answered_with_ready(whole: bytes) -> bool:
    """Whether Postgres answers a message with ReadyForQuery."""
    return kind_of(whole) in _ANSWERED_WITH_READY


def is_outside_transaction(ready: bytes) -> bool:
    """Whether a ReadyForQuery says that no transaction is open."""
    return ready[5:6] == b"I"


def parameter(whole: bytes) -> tuple[str, str]:
    """Return name and value of a ParameterStatus."""
    name, value, _ = whole[5:].split(b"\0", 2)
    return name.decode(), value.decode()


def simple_query(statement: str) -> bytes:
    """Return a Query message."""
    return message(b"Q", statement.encode() + b"\0")


def welcome(parameters: Mapping[str, str]) -> bytes:
    """Return AuthenticationOk, the parameters, a cancel key without effect, and ReadyForQuery."""
    statuses = (message(PARAMETER_STATUS, f"{n}\0{v}\0".encode()) for n, v in parameters.items())
    ok, key = message(b"R", struct.pack("!I", 0)), message(b"K", struct.pack("!II", 0, 0))
    return b"".join((ok, *statuses, key, message(READY_FOR_QUERY, b"I")))


def error(text: str) -> bytes:
    """Return an ErrorResponse as Neon's proxy sends every error: severity ERROR, SQLSTATE XX000 (see `faults`)."""
    return message(b"E", f"SERROR\0CXX000\0M{text}\0\0".encode())


def error_fields(whole: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse by type: S severity, C SQLSTATE, M message, and more."""
    fields = (field for field in whole[5:].decode(errors="replace").split("\0") if field)
    return {field[0]: field[1:] for field in fields}
