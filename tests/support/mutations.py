"""Ways in which a stored file goes bad: cut off, flipped, overwritten, swapped, gone."""

import random
from collections.abc import Mapping

MISSING = None


def truncated(data: bytes, _: Mapping[str, bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flipped(data: bytes, _: Mapping[str, bytes], chance: random.Random) -> bytes:
    """One bit is another."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def lengthened(data: bytes, _: Mapping[str, bytes], chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.randint(1, 64))


def zeroed(data: bytes, _: Mapping[str, bytes], chance: random.Random) -> bytes:
    """From somewhere on nothing was written, as after a power failure."""
    start = chance.randrange(len(data))
    return data[:start] + bytes(len(data) - start)


def swapped(data: bytes, others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """The file has the bytes of another one of the same kind, or of any when there is none."""
    candidates = [other for other in others.values() if other != data]
    return chance.choice(candidates)


def missing(data: bytes, _: Mapping[str, bytes], chance: random.Random) -> None:  # noqa: ARG001
    return MISSING


MUTATIONS = (truncated, flipped, lengthened, zeroed, swapped, missing)
