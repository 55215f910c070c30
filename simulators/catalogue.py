"""Forty invented facilities and their owners. No such place, firm or number exists."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.building import Building, Use


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Who owns facilities. No real organisation number has a third digit below two; these do."""

    number: str
    name: str
    organisation_number: str


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of building: what it needs per square metre and how its week looks."""

    loss_w_m2k: float
    base_w_m2: float
    week: str
    cooling_w_m2k: float = 0.0
    cooling_base_w_m2: float = 0.0


CUSTOMERS: Final = (
    Customer(number="100201", name="Älvkvarnens Bostäder AB", organisation_number="551001-0019"),
    Customer(
        number="100202", name="Granviks kommun, Fastigheter", organisation_number="211001-0028"
    ),
    Customer(number="100203", name="Brf Tallbacken i Granvik", organisation_number="711001-0035"),
    Customer(
        number="100204", name="Norrbro Kontor och Handel AB", organisation_number="551001-0043"
    ),
    Customer(number="100205", name="Region Mälarviken", organisation_number="231001-0059"),
    Customer(
        number="100206", name="Villaägarna Solsidan ek. för.", organisation_number="761001-0063"
    ),
)

KINDS: Final = {
    "villa": Kind(loss_w_m2k=1.15, base_w_m2=3.2, week="home"),
    "radhus": Kind(loss_w_m2k=0.95, base_w_m2=3.4, week="home"),
    "flerbostadshus": Kind(loss_w_m2k=1.05, base_w_m2=4.2, week="home"),
    "kontor": Kind(
        loss_w_m2k=0.90, base_w_m2=1.3, week="work", cooling_w_m2k=1.6, cooling_base_w_m2=3.0
    ),
    "skola": Kind(loss_w_m2k=1.20, base_w_m2=1.6, week="work"),
    "vårdboende": Kind(loss_w_m2k=1.10, base_w_m2=5.0, week="home"),
    "simhall": Kind(loss_w_m2k=1.80, base_w_m2=22.0, week="work"),
    "butik": Kind(
        loss_w_m2k=0.80, base_w_m2=1.2, week="work", cooling_w_m2k=2.0, cooling_base_w_m2=2.0
    ),
    "sjukhus": Kind(
        loss_w_m2k=1.25, base_w_m2=6.5, week="home", cooling_w_m2k=1.4, cooling_base_w_m2=4.0
    ),
    "serverhall": Kind(
        loss_w_m2k=0.6, base_w_m2=0.8, week="work", cooling_w_m2k=1.0, cooling_base_w_m2=120.0
    ),
}

# (name, address, kind, heated area m2, built, customer, what it draws: H heat, C cooling, HC both)
FACILITIES: Final = (
    ("Tallbacken 1", "Tallbacksgatan 2, Granvik", "flerbostadshus", 3400, 1962, 2, "H"),
    ("Tallbacken 2", "Tallbacksgatan 4, Granvik", "flerbostadshus", 3650, 1962, 2, "H"),
    ("Tallbacken 3", "Tallbacksgatan 6, Granvik", "flerbostadshus", 2900, 1964, 2, "H"),
    ("Kvarnen 7", "Kvarngränd 3, Granvik", "flerbostadshus", 5200, 1971, 0, "H"),
    ("Kvarnen 8", "Kvarngränd 5, Granvik", "flerbostadshus", 4800, 1971, 0, "H"),
    ("Mjölnaren 2", "Mjölnarvägen 11, Granvik", "flerbostadshus", 7100, 1988, 0, "H"),
    ("Dammluckan 1", "Dammvägen 1, Granvik", "flerbostadshus", 2400, 1949, 0, "H"),
    ("Strömfallet 4", "Forsgatan 18, Granvik", "flerbostadshus", 6300, 2009, 0, "H"),
    ("Strömfallet 5", "Forsgatan 20, Granvik", "flerbostadshus", 6100, 2009, 0, "H"),
    ("Åkerbäret 3", "Bärvägen 9, Granvik", "flerbostadshus", 1850, 1955, 0, "H"),
    ("Hjortronet 6", "Bärvägen 14, Granvik", "flerbostadshus", 2050, 1957, 0, "H"),
    ("Linnean 12", "Linnégränd 7, Granvik", "flerbostadshus", 8800, 1994, 0, "H"),
    ("Ekhagsskolan", "Skolvägen 1, Granvik", "skola", 6900, 1968, 1, "H"),
    ("Björkskolan", "Björkallén 22, Granvik", "skola", 4300, 1975, 1, "H"),
    ("Lillåns förskola", "Lillåvägen 5, Granvik", "skola", 980, 2003, 1, "H"),
    ("Rådhuset", "Stora torget 1, Granvik", "kontor", 5400, 1912, 1, "H"),
    ("Aspgårdens vårdboende", "Aspvägen 30, Granvik", "vårdboende", 5100, 1992, 1, "H"),
    ("Solgläntans vårdboende", "Gläntan 2, Granvik", "vårdboende", 3900, 2014, 1, "H"),
    ("Granviksbadet", "Badhusgatan 8, Granvik", "simhall", 4600, 1979, 1, "H"),
    ("Biblioteket", "Stora torget 4, Granvik", "kontor", 2200, 1983, 1, "H"),
    ("Räddningsstationen", "Ringleden 40, Granvik", "kontor", 1900, 1999, 1, "H"),
    ("Norrbro 1", "Norra Brogatan 1, Granvik", "kontor", 7600, 1986, 3, "H"),
    ("Handelsgården", "Köpmangatan 12, Granvik", "butik", 5900, 2001, 3, "H"),
    ("Magasinet", "Hamngatan 3, Granvik", "butik", 3300, 1931, 3, "H"),
    ("Mälarvikens sjukhus", "Sjukhusvägen 1, Granvik", "sjukhus", 38000, 1969, 4, "H"),
    ("Vårdcentralen Ån", "Åpromenaden 6, Granvik", "vårdboende", 2700, 1990, 4, "H"),
    ("Solsidan 4", "Solsidevägen 4, Granvik", "villa", 165, 1974, 5, "H"),
    ("Solsidan 9", "Solsidevägen 9, Granvik", "villa", 142, 1968, 5, "H"),
    ("Solsidan 15", "Solsidevägen 15, Granvik", "villa", 188, 1981, 5, "H"),
    ("Solsidan 21", "Solsidevägen 21, Granvik", "villa", 210, 2006, 5, "H"),
    ("Radhusen Vitsippan", "Vitsippevägen 1-19, Granvik", "radhus", 1250, 1978, 5, "H"),
    ("Radhusen Blåsippan", "Blåsippevägen 2-24, Granvik", "radhus", 1480, 1984, 5, "H"),
    ("Serverhallen Berget", "Bergsrummet 1, Granvik", "serverhall", 900, 2016, 3, "C"),
    ("Norrbro 2", "Norra Brogatan 3, Granvik", "kontor", 6800, 2012, 3, "C"),
    ("Norrbro 3", "Norra Brogatan 5, Granvik", "kontor", 8200, 2018, 3, "C"),
    ("Köpmangården", "Köpmangatan 20, Granvik", "butik", 9400, 2005, 3, "C"),
    ("Mälarvikens laboratorium", "Sjukhusvägen 7, Granvik", "sjukhus", 4200, 2011, 4, "C"),
    ("Operahuset", "Scengatan 2, Granvik", "kontor", 5000, 1997, 1, "C"),
    ("Stadshuset", "Stora torget 2, Granvik", "kontor", 9800, 2008, 1, "HC"),
    ("Nya akuten", "Sjukhusvägen 3, Granvik", "sjukhus", 16500, 2019, 4, "HC"),
)


def building(
    kind_name: str, use: Use, area_m2: int, built: int, chance: np.random.Generator
) -> Building:
    """The physics of a facility; `chance` gives each building its own habits."""
    kind = KINDS[kind_name]
    age = 1.12 if built < 1965 else 0.82 if built > 2004 else 1.0
    if use is Use.COOLING:
        return Building(
            use=use,
            loss_kw_k=kind.cooling_w_m2k * area_m2 / 1000 * chance.uniform(0.9, 1.1),
            balance_temp_c=chance.uniform(12.5, 14.5),
            base_kw=kind.cooling_base_w_m2 * area_m2 / 1000 * chance.uniform(0.9, 1.1),
            profile=_comfort_week(),
            return_offset_c=chance.uniform(-0.6, 0.6),
        )
    return Building(
        use=use,
        loss_kw_k=kind.loss_w_m2k * age * area_m2 / 1000 * chance.uniform(0.9, 1.1),
        balance_temp_c=chance.uniform(15.5, 17.5),
        base_kw=kind.base_w_m2 * area_m2 / 1000 * chance.uniform(0.85, 1.15),
        profile=_home_week() if kind.week == "home" else _work_week(),
        return_offset_c=chance.uniform(-2.5, 3.5),
    )


def _home_week() -> tuple[float, ...]:
    """Hot water of people at home: morning and evening, later on Saturday and Sunday."""
    hour = np.arange(24)
    weekday = 0.55 + 1.3 * _bump(hour, 7, 1.4) + 1.1 * _bump(hour, 20, 2.2)
    weekend = 0.55 + 1.1 * _bump(hour, 10, 2.4) + 1.1 * _bump(hour, 20, 2.4)
    return _mean_one(np.concatenate((np.tile(weekday, 5), np.tile(weekend, 2))))


def _work_week() -> tuple[float, ...]:
    """Working hours Monday to Friday, a trickle otherwise."""
    hour = np.arange(24)
    weekday = 0.5 + 1.6 * _bump(hour, 11, 3.5)
    return _mean_one(np.concatenate((np.tile(weekday, 5), np.full(48, 0.5))))


def _comfort_week() -> tuple[float, ...]:
    """Comfort cooling follows people and sun, and rests only partly at night."""
    hour = np.arange(24)
    weekday = 0.5 + 1.0 * _bump(hour, 14, 4.0)
    return _mean_one(
        np.concatenate((np.tile(weekday, 5), np.tile(0.5 + 0.3 * _bump(hour, 14, 4.0), 2)))
    )


def _bump(hour: NDArray[np.int64], middle: float, width: float) -> NDArray[np.float64]:
    bump: NDArray[np.float64] = np.exp(-(((hour - middle) / width) ** 2) / 2)
    return bump


def _mean_one(week: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple((week / week.mean()).tolist())
