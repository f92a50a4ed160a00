"""Read damaged files, one after the other, and say of each what became of it; the parent watches over time."""

from __future__ import annotations

import json
import logging
import random
import resource
import traceback
import warnings
from pathlib import Path

from mutate import mutate
from readers import READERS, prepared

from ctgrid.base.errors import CtgridError

LIMIT_BYTES = 2 << 30


def outcome(name: str, path: Path) -> dict[str, object]:
    """Read a damaged file; say whether that was as it should be."""
    try:
        READERS[name].read(path)
    except CtgridError as error:
        message = str(error)
        return {"result": "refused"} if message.strip() else {"result": "wrong", "why": "an empty message"}
    except MemoryError:
        return {"result": "wrong", "why": "more than 2 GB of memory"}
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-3:]
        at = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(where))
        return {"result": "wrong", "why": f"{type(error).__name__}: {str(error)[:150]} ({at})"}
    return {"result": "read"}


def main(pipe: str, folder: str, name: str, seed: str, first: str, count: str) -> None:
    """Run the cases of one reader; write one JSON line before and one after each into a named pipe."""
    with Path(pipe).open("w", buffering=1) as said:
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        path, content = prepared(name, Path(folder) / "case")
        READERS[name].read(path)  # whole, it must be read
        used = int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmSize" in x).split()[1])
        resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + LIMIT_BYTES,) * 2)
        for number in range(int(first), int(first) + int(count)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mutate(content, random.Random(f"{seed} {name} {number}")))
            print(json.dumps({"number": number}), file=said)
            print(json.dumps({"number": number, **outcome(name, path)}), file=said)
        print(json.dumps({"ended": True}), file=said)
