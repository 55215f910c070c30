"""Forty facilities with their meters: two years of history and a year to live on, from one seed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Literal

import numpy as np

from adapters import identity
from simulators import catalogue, stories
from simulators.building import F64, Load, Registers, Use, load, registers
from simulators.catalogue import Customer
from simulators.layouts import COARSE, FINE, HALF_COARSE, Layout, commodity_medium
from simulators.limits import Limits, suggest_limits
from simulators.stories import Story
from simulators.weather import HOUR_US, outdoor_temp_c

HISTORY_HOURS: Final = 731 * 24
LIVE_HOURS: Final = 366 * 24
"""How far past its history a fleet can live on."""

STATION: Final = "98230"
"""The weather station that all facilities share."""

NAMED: Final = ("Mälarvikens sjukhus", "Serverhallen Berget", "Solsidan 4")
"""Three facilities whose yearly energy is compared with the simulator's own log."""

_COARSE_AREA_M2: Final = 4500


@dataclass(frozen=True, kw_only=True)
class Meter:
    """One meter as the utility knows it.

    `energy_register` is where its energy shows (energy_j or cooling_energy_j), `gateways` who may
    speak for it, `live` the protocol it speaks once its history has ended: mqtt, mbus or modbus.
    """

    identity: int
    use: Use
    layout: Layout
    energy_register: Literal["energy_j", "cooling_energy_j"]
    gateways: tuple[str, ...]
    live: str
    qs_l_h: int


@dataclass(frozen=True, kw_only=True)
class Facility:
    """One customer's building."""

    metering_point: str
    name: str
    address: str
    building_type: str
    built_year: int
    heated_area_m2: int
    customer: Customer
    meters: tuple[Meter, ...]


@dataclass(frozen=True, kw_only=True)
class Course:
    """One meter's life: load and counters by the hour from the fleet's start, healthy limits."""

    facility: int
    meter: Meter
    load: Load
    registers: Registers
    limits: Limits

    def shown(self) -> Registers:
        """The counters as the meter displays them, truncated to its resolution."""
        return _truncated(self.registers, self.meter.layout)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Everything simulated.

    Hour i of every array begins at `start_us` + i hours; live time begins at `live_us`.
    """

    seed: int
    start_us: int
    live_us: int
    facilities: tuple[Facility, ...]
    courses: tuple[Course, ...]
    stories: tuple[Story, ...]
    outdoor_temp_c: F64

    @property
    def end_us(self) -> int:
        """Until when the fleet can live."""
        return self.start_us + self.outdoor_temp_c.size * HOUR_US

    @cached_property
    def by_identity(self) -> dict[int, Course]:
        """The course of each meter."""
        return {course.meter.identity: course for course in self.courses}

    def energy_j(self, course: Course, from_us: int, until_us: int) -> int:
        """The log: energy that the meter's display counted between two whole hours. [J]"""
        shown = course.shown().energy_wh
        first, last = self.hour_index(from_us), self.hour_index(until_us)
        return int(shown[last] - shown[first]) * 3600

    def yearly_kwh(self) -> dict[str, dict[str, dict[int, float]]]:
        """The log by facility, use and calendar year of normal time. [kWh]

        Of the first and last year only what lies within the history.
        """
        first_year, last_year = (_year(at_us) for at_us in (self.start_us, self.live_us - 1))
        years: dict[str, dict[str, dict[int, float]]] = {}
        for course in self.courses:
            by_year = years.setdefault(self.facilities[course.facility].name, {}).setdefault(
                course.meter.use.value, {}
            )
            for year in range(first_year, last_year + 1):
                begin = max(_year_start_us(year), self.start_us)
                end = min(_year_start_us(year + 1), self.live_us)
                by_year[year] = self.energy_j(course, begin, end) / 3_600_000
        return years

    def hour_index(self, at_us: int) -> int:
        """Which hour boundary a time is; ValueError when none, or outside the fleet's life."""
        index, rest = divmod(at_us - self.start_us, HOUR_US)
        if rest or not 0 <= index <= self.outdoor_temp_c.size:
            moment, first, last = (
                datetime.fromtimestamp(time_us / 1e6, UTC)
                for time_us in (at_us, self.start_us, self.end_us)
            )
            raise ValueError(f"{moment} is no whole hour of the simulated time, {first} to {last}")
        return int(index)


def build_fleet(seed: int, live_us: int, history_hours: int = HISTORY_HOURS) -> Fleet:
    """The fleet of a seed whose history ends, and whose live time begins, at `live_us`.

    `live_us` is cut to the whole hour. The same seed and end give the same numbers, so a fleet that
    is built again later lives on where it was.
    """
    live_us -= live_us % HOUR_US
    start_us = live_us - history_hours * HOUR_US
    outdoor_c = outdoor_temp_c(seed, start_us, history_hours + LIVE_HOURS)
    told = stories.plan(start_us, live_us)
    facilities: list[Facility] = []
    courses: list[Course] = []
    for index, row in enumerate(catalogue.FACILITIES):
        uses = {"H": (Use.HEAT,), "C": (Use.COOLING,), "HC": (Use.HEAT, Use.COOLING)}[row[6]]
        meters = []
        for use in uses:
            course = _course(
                seed, index, use, outdoor_c, start_us, history_hours, len(courses), told
            )
            meters.append(course.meter)
            courses.append(course)
        facilities.append(_facility(index, tuple(meters)))
    return Fleet(
        seed=seed,
        start_us=start_us,
        live_us=live_us,
        facilities=tuple(facilities),
        courses=tuple(courses),
        stories=told,
        outdoor_temp_c=outdoor_c,
    )


def _course(
    seed: int,
    index: int,
    use: Use,
    outdoor_c: F64,
    start_us: int,
    history_hours: int,
    number: int,
    told: tuple[Story, ...],
) -> Course:
    _, _, kind, area_m2, built, _, draws = catalogue.FACILITIES[index]
    stream = (seed, 1 + index, int(use is Use.COOLING))
    building = catalogue.building(kind, use, area_m2, built, np.random.default_rng(stream))
    healthy = load(building, stream, outdoor_c, start_us)
    layout = _layout(area_m2, number)
    known = slice(0, history_hours)  # limits are set from the past
    past = Load(
        power_kw=healthy.power_kw[known],
        supply_temp_c=healthy.supply_temp_c[known],
        return_temp_c=healthy.return_temp_c[known],
    )
    past_shown = _truncated(registers(past, use=use), layout)
    limits = suggest_limits(
        past_shown, use=use, start_us=start_us, volume_step_ml=layout.volume_step_ml
    )
    lived = healthy
    for story in told:
        if (story.facility, story.use) == (index, use):
            lived = stories.apply(story, lived, limits, start_us=start_us)
    counted = registers(lived, use=use)
    meter = Meter(
        identity=identity.pack(
            identity.manufacturer_code(layout.manufacturer),
            _digits(70_100_001 + 37 * number),
            layout.version,
            commodity_medium(use),
        ),
        use=use,
        layout=layout,
        # A meter in a building with both shows its cooling in a register of its own.
        energy_register="cooling_energy_j" if use is Use.COOLING and draws == "HC" else "energy_j",
        gateways=_gateways(number),
        live=_LIVE_PROTOCOL.get(number, "mqtt"),
        qs_l_h=int(3 * np.diff(counted.volume_ml).max() / 1000) + 100,
    )
    return Course(facility=index, meter=meter, load=lived, registers=counted, limits=limits)


_LIVE_PROTOCOL: Final = {26: "mbus", 29: "modbus"}  # two villas that are polled, not pushed


def _layout(area_m2: int, number: int) -> Layout:
    """Every third meter shows coarse registers, as calculators do; others are read in full."""
    if number % 3 or number in _LIVE_PROTOCOL:
        return FINE
    return COARSE if area_m2 >= _COARSE_AREA_M2 else HALF_COARSE


def _gateways(number: int) -> tuple[str, ...]:
    """Eight meters behind a gateway; a neighbour hears the first of them too."""
    own = number // 8
    return (
        (f"gw-{own + 1:02}", f"gw-{(own + 1) % 6 + 1:02}")
        if number % 8 == 0
        else (f"gw-{own + 1:02}",)
    )


def _facility(index: int, meters: tuple[Meter, ...]) -> Facility:
    name, address, kind, area_m2, built, customer, _ = catalogue.FACILITIES[index]
    return Facility(
        metering_point=f"735999{index + 1:012}",
        name=name,
        address=address,
        building_type=kind,
        built_year=built,
        heated_area_m2=area_m2,
        customer=catalogue.CUSTOMERS[customer],
        meters=meters,
    )


def _truncated(counted: Registers, layout: Layout) -> Registers:
    energy_wh = layout.energy_step_j // 3600
    return replace(
        counted,
        energy_wh=counted.energy_wh // energy_wh * energy_wh,
        volume_ml=counted.volume_ml // layout.volume_step_ml * layout.volume_step_ml,
        e8_mlc=counted.e8_mlc // layout.e8_step_mlc * layout.e8_step_mlc,
        e9_mlc=counted.e9_mlc // layout.e8_step_mlc * layout.e8_step_mlc,
    )


def _digits(number: int) -> int:
    """A decimal number as eight nibbles, as identities hold it."""
    return int(f"{number:08}", 16)


def _year(at_us: int) -> int:
    return datetime.fromtimestamp(at_us / 1e6, stories.NORMAL_TIME).year


def _year_start_us(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=stories.NORMAL_TIME).timestamp()) * 1_000_000
