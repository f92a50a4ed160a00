"""Units of length and of values as headers spell them."""

from __future__ import annotations

_MM = {
    1.0: ("mm", "millimeter", "millimetre"),
    10.0: ("cm", "centimeter", "centimetre"),
    100.0: ("dm", "decimeter", "decimetre"),
    1000.0: ("m", "meter", "metre"),
    1e6: ("km", "kilometer", "kilometre"),
    1e-3: ("um", "µm", "μm", "micron", "micrometer", "micrometre"),
    1e-6: ("nm", "nanometer", "nanometre"),
    25.4: ("in", "inch", "inche"),
    304.8: ("ft", "foot", "feet"),
}
_OF_NAME = {name: mm for mm, names in _MM.items() for name in names}
_UNSAID = ("", "?", "???", "unknown", "none", "nan", "n/a")
_HU = ("hu", "hounsfield", "hounsfield unit", "ct", "ct number", "1", "unitless", "dimensionless", *_UNSAID)


def length_in_mm(name: str) -> float | None:
    """Return a unit of length in mm; 1 where the header names none, None where it names something else.

    Args:
        name: As the header spells it, without regard to case, plural or quotes: "cm", "Metres", "µm".
    """
    folded = name.strip().strip('"').strip().casefold()
    if folded in _UNSAID:
        return 1.0
    return _OF_NAME.get(folded) or _OF_NAME.get(folded.removesuffix("s"))


def may_be_hu(name: str) -> bool:
    """Tell whether a unit of values is HU, or none that is said.

    Args:
        name: As the header spells it, without regard to case, plural or quotes.
    """
    return name.strip().strip('"').strip().casefold().removesuffix("s") in _HU
