"""The SIR model of an epidemic: Kermack & McKendrick, Proc. R. Soc. A 115, 1927."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

from data import BOYS, DAYS, IN_BED

if TYPE_CHECKING:
    from numpy.typing import NDArray

# One infectious boy on day 0, everybody else susceptible. The report speaks of one boy who brought the infection, and
# the published least-squares fits start there. A free initial count is not well posed: it trades against beta along a
# valley and ends at half a boy. Starting from the 3 of day 1 would take the noisiest of the counts for exact.
FIRST_DAY = 0.0
FIRST_CASES = 1.0


@dataclass(frozen=True)
class Rates:
    """What is fitted."""

    beta: float
    """Infections per infectious boy and day while all others are susceptible."""
    gamma: float
    """Recoveries per infectious boy and day; 1/gamma is the mean stay in bed in days."""

    @property
    def reproduction_number(self) -> float:
        """R0: infections that one case causes while all others are susceptible."""
        return self.beta / self.gamma


def infectious(rates: Rates, days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of infectious boys at each of `days`, which ascend from day 0 on."""

    def change(_: float, state: NDArray[np.float64]) -> tuple[float, float]:
        susceptible, sick = state
        infections = rates.beta * susceptible * sick / BOYS
        return -infections, infections - rates.gamma * sick

    # DOP853 is written in Python, so that any number of threads may integrate at once.
    solution = solve_ivp(
        change,
        (FIRST_DAY, float(days[-1])),
        (BOYS - FIRST_CASES, FIRST_CASES),
        method="DOP853",
        t_eval=days,
        rtol=1e-8,
        atol=1e-6,
    )
    return np.asarray(solution.y[1], dtype=np.float64)


def squared_error(rates: Rates) -> float:
    """Return the sum over the 14 days of (model - boys in bed) squared."""
    difference = infectious(rates, np.array(DAYS, dtype=np.float64)) - np.array(IN_BED)
    return float(difference @ difference)


def peak(rates: Rates) -> tuple[float, float]:
    """Return the day of the largest number of infectious boys, to a hundredth, and that number."""
    days = np.linspace(FIRST_DAY, float(DAYS[-1]), 100 * DAYS[-1] + 1)
    sick = infectious(rates, days)
    highest = int(sick.argmax())
    return float(days[highest]), float(sick[highest])
