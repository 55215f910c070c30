"""The client's side of the M-Bus link layer (EN 13757-2): requests, answers out of noise."""

from typing import Final

ACK: Final = b"\xe5"

_SND_NKE: Final = 0x40
_REQ_UD2: Final = 0x5B  # FCV set
_FCB: Final = 0x20
_RSP_UD: Final = 0x08
_RSP_UD_MASK: Final = 0xCF  # ACD and DFC may be set
_SHORT: Final = 0x10
_SHORT_SIZE: Final = 5
_LONG: Final = 0x68
_STOP: Final = 0x16


def short_frame(control: int, address: int) -> bytes:
    """A frame of five bytes."""
    return bytes((_SHORT, control, address, (control + address) & 0xFF, _STOP))


def snd_nke(address: int) -> bytes:
    """Reset the meter's link: its next answer counts from FCB = 1."""
    return short_frame(_SND_NKE, address)


def req_ud2(address: int, *, fcb: bool) -> bytes:
    """Ask for data: what follows when `fcb` toggled, the same again when it did not."""
    return short_frame(_REQ_UD2 | (_FCB if fcb else 0), address)


class Stream:
    """Bytes from the bus, and the answers in them.

    Echoes of our own frames, noise and broken frames are stepped over; `noise` counts such bytes
    since the last `clear`, echoes not.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.noise = 0

    def clear(self) -> None:
        """Forget what is left of an earlier answer."""
        self._bytes.clear()
        self.noise = 0

    def feed(self, data: bytes) -> None:
        """More bytes arrived."""
        self._bytes += data

    def take(self, *, ended: bool = False) -> bytes | None:
        """E5 or one whole, sound long frame of a meter; None: not there yet.

        `ended` says that no more bytes will come, so a beginning that never completes is noise.
        """
        while self._bytes:
            size = self._frame_size()
            if size > len(self._bytes) and not ended:
                return None
            if 0 < size <= len(self._bytes):
                frame = bytes(self._bytes[:size])
                del self._bytes[:size]
                if size == 1 or (frame[0] == _LONG and frame[4] & _RSP_UD_MASK == _RSP_UD):
                    return frame
                continue  # our own, echoed by the level converter
            del self._bytes[0]
            self.noise += 1
        return None

    def _frame_size(self) -> int:
        """Bytes of the frame at the front: 0 when none begins here, more than there are: wait."""
        data = self._bytes
        if data[0] == ACK[0]:
            return 1
        if data[0] == _SHORT:
            sound = len(data) < _SHORT_SIZE or (
                data[4] == _STOP and (data[1] + data[2]) & 0xFF == data[3]
            )
            return _SHORT_SIZE if sound else 0
        return self._long_size() if data[0] == _LONG else 0

    def _long_size(self) -> int:
        data = self._bytes
        if len(data) < 4:
            return 4
        size = data[1] + 6
        sound = data[3] == _LONG and data[1] == data[2] >= 3
        if sound and len(data) >= size:
            sound = data[size - 1] == _STOP and sum(data[4 : size - 2]) & 0xFF == data[size - 2]
        return size if sound else 0
