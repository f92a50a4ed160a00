"""Read damaged files, one after the other, and say of each what became of it; the parent watches over time.

Called as ``python worker.py FOLDER SEED FIRST COUNT NAME...``; prints one JSON line before and one after each case.
"""

from __future__ import annotations

import json
import logging
import random
import resource
import sys
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutate import mutate
from readers import READERS, prepared

from ctgrid.base.errors import CtgridError

LIMIT_BYTES = 2 << 30


def say(**words: object) -> None:
    """Print one line."""
    print(json.dumps(words), flush=True)


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


def main(folder: Path, seed: int, first: int, count: int, names: list[str]) -> None:
    """Run the cases of some readers."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    limited = False
    for name in names:
        path, content = prepared(name, folder / "case")
        READERS[name].read(path)  # whole, it must be read
        if not limited:
            used = int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmSize" in x).split()[1])
            resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + LIMIT_BYTES,) * 2)
            limited = True
        for number in range(first, first + count):
            draw = random.Random(f"{seed} {name} {number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mutate(content, draw))
            say(name=name, number=number)
            say(name=name, number=number, **outcome(name, path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
