"""Networks of ours: they know what they were built with, and are kept in folders of diffusers' layout.

diffusers' own classes do the same, and take more than a second to import.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, Self, get_args, get_type_hints

from safetensors.torch import save_file
from torch import nn

from ctgrid.base.errors import CtgridError

CONFIG_FILE = "config.json"
STEM = "diffusion_pytorch_model"
"""Of the names of files with weights."""

Count = Annotated[int, 0]
"""An argument that says how many there are, none as well."""

Size = Annotated[int, 1]
"""An argument that says how many or how wide, at least 1."""

Built = ParamSpec("Built")

log = logging.getLogger(__name__)


class Config(dict[str, Any]):
    """Arguments by name, as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        """Return an argument."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def keeps_arguments(init: Callable[Concatenate[Any, Built], None]) -> Callable[Concatenate[Any, Built], None]:
    """Make a network's ``__init__`` note its arguments, defaults too, as ``config``.

    It raises :class:`ctgrid.base.errors.CtgridError` for an argument that is not of its kind: true or false, a
    number, a :data:`Count` or a :data:`Size`.
    """
    signature, kinds = inspect.signature(init), get_type_hints(init, include_extras=True)

    @wraps(init)
    def noting(self: Any, *args: Built.args, **kwargs: Built.kwargs) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            _check(name, kinds.get(name), value)
        self.__dict__["config"] = Config(list(bound.arguments.items())[1:])
        init(self, *args, **kwargs)

    return noting


def _check(name: str, kind: Any, value: Any) -> None:
    """Refuse an argument that is not of its kind; only switches and single numbers are looked at."""
    options = get_args(kind)
    if value is None and type(None) in options:
        return
    for part in (kind, *options):
        if part is bool and not isinstance(value, bool):
            raise CtgridError(f"{name} is true or false, got {value!r}")
        if part is float and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise CtgridError(f"{name} is a number, got {value!r}")
        if part in (Count, Size) and (type(value) is not int or value < part.__metadata__[0]):
            raise CtgridError(f"{name} is a whole number from {part.__metadata__[0]} on, got {value!r}")


class OwnNetwork(nn.Module):
    """A network whose ``__init__`` keeps its arguments (:func:`keeps_arguments`).

    Attributes:
        config: the arguments by name; what is saved beside the weights.
    """

    config: Config

    def register_to_config(self, **values: Any) -> None:
        """Note what was found after the network was built, under names of its arguments."""
        self.config.update(values)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``config.json`` and the weights, in the precision they have, into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        said = {"_class_name": type(self).__name__, **self.config}
        text = json.dumps(said, indent=2, sort_keys=True) + "\n"
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / f"{STEM}.safetensors", metadata={"format": "pt"})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build a network by what :attr:`config` said; notes of the file, which start with ``_``, are left out."""
        known = list(inspect.signature(cls).parameters)
        given = {name: value for name, value in config.items() if not name.startswith("_")}
        strange = sorted(set(given) - set(known))
        if strange:
            log.warning("%s has no argument for %s of its config; left out", cls.__name__, ", ".join(strange))
        return cls(**{name: value for name, value in given.items() if name in known})
