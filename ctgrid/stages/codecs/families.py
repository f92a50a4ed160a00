"""Every class of autoencoder that can be a codec, by the name that its ``config.json`` bears.

A new one is one entry of :data:`FAMILIES`: how it is read, and an adapter in a file beside this.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ctgrid.base.families import look_up, unknown
from ctgrid.stages.codecs.adapter import Adapter, Family
from ctgrid.stages.codecs.clip_codec import CLASS, ClipAdapter, load_clip_codec
from ctgrid.stages.codecs.codec_files import class_of
from ctgrid.stages.codecs.diffusers_codecs import KLAdapter, TinyAdapter, load_kl, load_tiny
from ctgrid.stages.codecs.unshuffle import UnshuffleAdapter, load_unshuffle

FAMILIES: dict[str, Family] = {
    "UnshuffleCodec": Family(load_unshuffle, UnshuffleAdapter),
    "AutoencoderKL": Family(load_kl, KLAdapter),
    "AutoencoderTiny": Family(load_tiny, TinyAdapter),
    CLASS: Family(load_clip_codec, ClipAdapter),
}


def load_network(folder: Path) -> torch.nn.Module:
    """Read the network in a folder by the class that its ``config.json`` names.

    Raises:
        CtgridError: where it names none or an unknown one, or the weights cannot be read.
    """
    return look_up(FAMILIES, class_of(folder), "codec class", str(folder)).load(folder)


def adapter_of(network: torch.nn.Module) -> Adapter:
    """Put a network in the terms of a codec, by its class or the nearest that it derives from.

    Raises:
        CtgridError: where no family is of that class.
    """  # noqa: DOC501
    for each in type(network).__mro__:
        if each.__name__ in FAMILIES:
            return FAMILIES[each.__name__].adapter(network)
    raise unknown(type(network).__name__, "codec class", FAMILIES)
