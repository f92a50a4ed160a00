"""Build the values of a YAML text within bounds that are asked before memory and time are spent.

Aliases multiply: nine lines of nine aliases each stand for 400 million values. They are counted in the graph of nodes,
where each anchor lies once, before any merge key (``<<``) or reader copies what they stand for.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

MOST_CHARACTERS = 4 << 20
MOST_VALUES = 250_000
"""That are written out; the largest public collection of chest CT has 50,000 volumes."""
MOST_REPEATED = 100_000
"""That aliases add to them."""
_SHORT = 20_000  # characters of a text
_LONGEST = 10_000  # characters of one value: some numbers, 1:30:00 for one, take time that grows as their square


def load(text: str) -> Any:
    """Return what a YAML text holds, as ``yaml.safe_load`` does.

    Args:
        text: The text; the parsed values of short ones are kept, as one run reads its recipe or protocol several times.

    Raises:
        ValueError: It holds too much, or its anchors multiply or hold themselves.
        yaml.YAMLError: It is not YAML.
    """
    return copy.deepcopy(_kept(text)) if len(text) < _SHORT else _load(text)


def _load(text: str) -> Any:
    import yaml

    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it is longer than {MOST_CHARACTERS >> 20} Mi characters")

    class Loader(yaml.SafeLoader):
        """Counts nodes while they are made."""

        nodes = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.nodes += 1
            if self.nodes > MOST_VALUES:
                raise ValueError(f"it holds more than {MOST_VALUES} values")
            node = super().compose_node(parent, index)
            if isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST:
                raise ValueError(f"a value of it is longer than {_LONGEST} characters")
            return node

    loader = Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if _expanded(root) > loader.nodes + MOST_REPEATED:
            raise ValueError("its anchors multiply")
        return loader.construct_document(root)
    finally:
        loader.dispose()


_kept = lru_cache(maxsize=32)(_load)


def _expanded(root: Any) -> int:
    """Return the number of values where every alias is written out.

    Raises:
        ValueError: An anchor holds itself.
    """
    sizes: dict[int, int | None] = {}  # None while those inside are counted

    def size(node: Any) -> int:
        if isinstance(node.value, str):
            return 1
        known = sizes.get(id(node), 0)
        if known is None:
            raise ValueError("its anchors repeat each other without end")
        if not known:
            sizes[id(node)] = None
            inner = (one for item in node.value for one in (item if isinstance(item, tuple) else (item,)))
            known = sizes[id(node)] = 1 + sum(map(size, inner))
        return known

    return size(root)
