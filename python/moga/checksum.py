"""The 64-bit checksum of moga/core/checksum.h: four lanes of 64-bit words, lane ← rotate((lane ^ word) · m, 31)."""

_WORD = (1 << 64) - 1
_MULTIPLIER = 0x9E3779B97F4A7C15
_ROUND_BYTES = 32


class Checksum:
    """A few thousand names and shapes take milliseconds; it is not meant for weights."""

    def __init__(self) -> None:
        self._lanes = [1, 2, 3, 4]
        self._total = 0

    def add(self, data: bytes) -> None:
        """A value of its own: the number of bytes is added before them."""
        self._add_piece(len(data).to_bytes(8, "little"))
        self._add_piece(data)

    def text(self) -> str:
        """16 digits."""
        hash = _mix(self._total)
        for lane in self._lanes:
            hash = _mix(hash ^ lane)
        return f"{hash:016x}"

    def _add_piece(self, data: bytes) -> None:
        self._total += len(data)
        for at in range(0, len(data), _ROUND_BYTES):
            words = data[at : at + _ROUND_BYTES].ljust(_ROUND_BYTES, b"\0")
            for lane in range(4):
                word = int.from_bytes(words[8 * lane : 8 * lane + 8], "little")
                product = ((self._lanes[lane] ^ word) * _MULTIPLIER) & _WORD
                self._lanes[lane] = ((product << 31) | (product >> 33)) & _WORD


def _mix(x: int) -> int:
    x = ((x ^ (x >> 32)) * _MULTIPLIER) & _WORD
    x = ((x ^ (x >> 29)) * _MULTIPLIER) & _WORD
    return x ^ (x >> 32)
