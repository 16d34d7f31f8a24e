"""An outbreak of influenza in an English boarding school in January 1978.

763 boys; the count of those in bed was taken each day. Source: Communicable Disease Surveillance Centre, "Influenza
in a boarding school", British Medical Journal, 4 March 1978, page 587.
"""

from __future__ import annotations

BOYS = 763

IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)
"""Boys in bed on day 1 (22 January) to day 14 (4 February)."""

DAYS = tuple(range(1, len(IN_BED) + 1))
