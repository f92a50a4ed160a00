"""Notice that a folder was removed, or replaced by another, while a run works in it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from ctgrid.base.errors import CtgridError


class Present:
    """A folder that must stay where it is, from when it is first seen; a context.

    What is made in it later would otherwise go into a new folder of its name, without what was lost.
    """

    def __init__(self, folder: Path) -> None:
        """Watch a folder, which need not exist yet."""
        self.folder = Path(os.path.abspath(folder))  # noqa: PTH100 (the working folder may be removed meanwhile)
        self._descriptor: int | None = None  # held open, so that no new folder gets its number
        self._seen: os.stat_result | None = None

    def check(self) -> None:
        """Remember the folder at the first call that finds it; from then on make sure that it is still there.

        Raises:
            CtgridError: It is not.
        """
        try:
            now = self.folder.stat()
        except OSError:
            now = None
        if self._seen is None and now is not None:
            self._seen = now
            if hasattr(os, "O_DIRECTORY"):
                self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        elif self._seen is not None and (now is None or not os.path.samestat(now, self._seen)):
            what = "was removed" if now is None else "was replaced by another folder"
            raise CtgridError(
                f"{self.folder} {what} while ctgrid worked in it: what had been written there is lost; run it again"
            )

    def __del__(self) -> None:
        """Let the folder go."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Present:
        """Remember the folder where it is there."""
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the folder go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
