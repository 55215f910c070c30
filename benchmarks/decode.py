"""How fast wired telegrams are decoded: into columns, to registers, one at a time, of many meters.

CPU time of one core. The peer, pymbusparser, gets the first telegrams of the same list in the same
run; it has no batch, so its dict of one telegram is what it is held to.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from adapters.mbus.decode import decode_batch, decode_one, walk_chunks, warm
from adapters.mbus.profile import MeterProfiles
from benchmarks.figures import Figure, Inputs, unmeasured, within
from benchmarks.telegrams import NoTelegramsError, changing, corpus, varied
from config.profiles import load_profiles
from ingest.registry import Registry

REPEATS: Final = 5
FLEET: Final = 100_000
_ONE_BY_ONE: Final = 4_000
_SLOW: Final = 400
_VALUES_OF_ONE: Final = 4  # as many a frame must have to give thousands of telegrams of one meter
_BARS: Final = {
    "decode.batch": 150.0,
    "decode.registers": 2e6,
    "decode.single": 2.0,
    "decode.fleet": 1.2,
    "decode.cold": 1.2,
}
_UNITS: Final = {"decode.fleet": "x", "decode.cold": "s"}
_BATCH_PER_S: Final = 5e6
_SINGLE_PER_S: Final = 60_000


class Peer(NamedTuple):
    """Somebody else's decoder and its CPU seconds over `Measured.one_by_one`."""

    name: str
    seconds: list[float]


def run(*, seed: int, full: bool, say: Callable[[str], None]) -> list[Figure]:
    """decode.batch, decode.registers, decode.single, decode.fleet and decode.cold."""
    try:
        frames = corpus()
    except NoTelegramsError as error:
        return [
            unmeasured(name, _UNITS.get(name, "telegrams/s"), bar, str(error))
            for name, bar in _BARS.items()
        ]
    warm()
    profiles = load_profiles()
    say("making telegrams")
    telegrams = varied(frames, FLEET * 4 if full else FLEET, seed)
    one_by_one = telegrams[:_ONE_BY_ONE]
    inputs = Inputs(rows=len(telegrams), bytes=sum(map(len, telegrams)), seed=seed)
    few = Inputs(rows=len(one_by_one), bytes=sum(map(len, one_by_one)), seed=seed)

    say("measuring")
    batch = _cpu_seconds(lambda: [walked.record_count for walked in walk_chunks(telegrams)])
    registers = _cpu_seconds(lambda: decode_batch(telegrams, profiles))
    single = _cpu_seconds(lambda: [decode_one(one, profiles) for one in one_by_one])
    peer = _peer(one_by_one, say)
    figures = [
        _rate("decode.batch", batch, inputs, peer, few.rows, _BATCH_PER_S),
        _limited("decode.registers", registers, inputs),
        _rate("decode.single", single, few, peer, few.rows, _SINGLE_PER_S),
        _fleet(frames, seed, profiles, say),
        _cold(one_by_one[0]),
    ]
    say("comparing with the un-jitted decoder")
    _same_without_numba(telegrams[:: max(1, len(telegrams) // _SLOW)])
    return figures


def _cpu_seconds(work: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return seconds


def _spread(seconds: list[float]) -> float:
    return round((max(seconds) - min(seconds)) / median(seconds), 4)


def _rate(
    name: str, seconds: list[float], inputs: Inputs, peer: Peer | None, peer_rows: int, least: float
) -> Figure:
    """A rate with two bars: `least` telegrams/s, and so many times the peer's rate."""
    value, bar = inputs.rows / median(seconds), _BARS[name]
    if peer is None:
        return unmeasured(name, "telegrams/s", bar, "the peer pymbusparser is not installed")
    ratio = value / (peer_rows / median(peer.seconds))
    return Figure(
        name=name,
        value=round(value),
        unit="telegrams/s",
        against=f"{peer.name}; and at least {least:.0f}/s",
        ratio=round(ratio, 2),
        bar=bar,
        holds=ratio >= bar and value >= least,
        inputs=inputs,
        repeats=len(seconds),
        spread=_spread(seconds),
    )


def _limited(name: str, seconds: list[float], inputs: Inputs) -> Figure:
    value, bar = inputs.rows / median(seconds), _BARS[name]
    return Figure(
        name=name,
        value=round(value),
        unit="telegrams/s",
        against="limit",
        ratio=round(value / bar, 4),
        bar=bar,
        holds=value >= bar,
        inputs=inputs,
        repeats=len(seconds),
        spread=_spread(seconds),
    )


def _peer(telegrams: list[bytes], say: Callable[[str], None]) -> Peer | None:
    """The peer over these telegrams; a telegram it refuses counts as decoded."""
    try:
        import pymbusparser  # noqa: PLC0415 - a peer need not be installed
    except ImportError:
        return None
    name = f"pymbusparser {version('pymbusparser')}"
    say(f"measuring {name}")

    def parse_all() -> None:
        for telegram in telegrams:
            try:
                pymbusparser.parse(telegram)
            except pymbusparser.MbusParserError:
                continue

    return Peer(name, _cpu_seconds(parse_all))


def _fleet(
    frames: list[bytes], seed: int, profiles: MeterProfiles, say: Callable[[str], None]
) -> Figure:
    """Decoding and finding the meter, of a fleet all known, against one known meter."""
    say(f"decoding {FLEET} meters and one")
    frames = [frame for frame in frames if len(changing(frame)) >= _VALUES_OF_ONE]
    finders = []
    for meters in (FLEET, 1):
        telegrams = varied(frames, FLEET, seed, meters)
        known = np.unique(decode_batch(telegrams, profiles).rows.identity)
        registry = Registry(
            identities=known,
            meter_ids=np.arange(known.size),
            facilities={},
            gateways={},
            steps={},
            shard_of={},
            facilities_of_station={},
            station_ids={},
        )
        finders.append(_finder(telegrams, profiles, registry))
    # Turn by turn, so that whatever else the machine does meets both.
    turns = [[_cpu_seconds(finder, 1)[0] for finder in finders] for _ in range(REPEATS)]
    ratios = [fleet / one for fleet, one in turns]
    value = median(ratios)
    return Figure(
        name="decode.fleet",
        value=round(value, 3),
        unit="x",
        against="one meter",
        ratio=round(value / _BARS["decode.fleet"], 4),
        bar=_BARS["decode.fleet"],
        holds=value <= _BARS["decode.fleet"],
        inputs=Inputs(rows=FLEET, seed=seed),
        repeats=REPEATS,
        spread=_spread(ratios),
    )


def _finder(
    telegrams: list[bytes], profiles: MeterProfiles, registry: Registry
) -> Callable[[], object]:
    return lambda: registry.find(decode_batch(telegrams, profiles).rows.identity)


def _cold(telegram: bytes) -> Figure:
    """`fjarrvakt decode HEX` from process start to its end, kernels compiled; elapsed time."""
    command = [sys.executable, "-m", "fjarrvakt", "decode", telegram.hex()]
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begin)
    return within("decode.cold", seconds, _BARS["decode.cold"], limit="limit", inputs=Inputs())


def digest(telegrams: list[bytes]) -> str:
    """A hash of every column and register of these telegrams, and of the refusals."""
    state = hashlib.sha256()
    for walked in walk_chunks(telegrams):
        for column in walked.telegrams:
            state.update(column.tobytes())
        for of_records in walked.records:
            state.update(of_records[: walked.record_count].tobytes())
    decoded = decode_batch(telegrams, load_profiles())
    for column in vars(decoded.rows).values():
        state.update(column.tobytes())
    state.update(repr(sorted(decoded.refused.items())).encode())
    return state.hexdigest()


def _same_without_numba(telegrams: list[bytes]) -> None:
    """Raises RuntimeError when plain Python makes other columns of these telegrams."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.decode"],
        input="\n".join(telegram.hex() for telegram in telegrams),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    if done.stdout.strip() != digest(telegrams):
        raise RuntimeError("the compiled decoder's columns differ from plain Python's")


if __name__ == "__main__":
    print(digest([bytes.fromhex(line) for line in sys.stdin.read().split()]))
