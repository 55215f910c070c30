"""Makes of simulated meters: what one count of each register means, and the records they send."""

from dataclasses import dataclass
from typing import Final

from adapters.mbus import encode
from simulators.building import Use


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A make of simulated meter: its version byte, and what one count of each register means.

    `fine` meters send 64-bit registers that lose nothing, the others what a real calculator sends.
    """

    name: str
    version: int
    fine: bool
    energy_step_j: int
    volume_step_ml: int
    e8_step_mlc: int
    manufacturer: str = "FJV"  # no registered manufacturer, config/profiles/fjarrvakt_sim.toml

    def records(self, *, cooling: bool) -> encode.Layout:
        """The records of a telegram; `cooling`: with a cooling register of its own."""
        if self.fine:
            return encode.precise_layout(cooling=cooling)
        return encode.calculator_layout(volume_step_ml=self.volume_step_ml, cooling=cooling)


FINE: Final = Layout(
    name="fine", version=2, fine=True, energy_step_j=3600, volume_step_ml=1, e8_step_mlc=1
)
HALF_COARSE: Final = Layout(
    name="litre",
    version=1,
    fine=False,
    energy_step_j=3_600_000,
    volume_step_ml=1_000,
    e8_step_mlc=100_000,
)
COARSE: Final = Layout(
    name="ten litres",
    version=1,
    fine=False,
    energy_step_j=3_600_000,
    volume_step_ml=10_000,
    e8_step_mlc=1_000_000,
)


def commodity_medium(use: Use) -> int:
    """The medium of EN 13757-7 table 13: heat (return), or cooling load (return)."""
    return 0x0A if use is Use.COOLING else 0x04
