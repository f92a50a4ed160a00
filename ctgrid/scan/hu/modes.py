"""How a user may ask for HU to be found."""

from __future__ import annotations

from typing import Literal, get_args

HuMode = Literal["auto", "stored", "header", "sidecar"]
"""By evidence, or by the reading that is named: values as they stand, the header's map, a sidecar's or table's."""

HU_MODES: tuple[HuMode, ...] = get_args(HuMode)
