"""Take apart DICOM folders and zips that hold several series, where each is wanted as a scan of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ctgrid.base.errors import CtgridError
from ctgrid.scan.cases import Case
from ctgrid.scan.formats.open import is_dicom


def each_series(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield a case for every series of a DICOM input that holds more than one; other cases as they are.

    All headers are read here. Series that are no CT (localizers, reports, other modalities) stay in the list
    with the reason why they are left out; an input that cannot be listed stays whole, to fail by itself.

    Args:
        cases: As :func:`ctgrid.scan.cases.find_cases` gives them.
    """
    from ctgrid.scan.formats.dicom.files import dicom_files
    from ctgrid.scan.formats.dicom.header import read_headers
    from ctgrid.scan.formats.dicom.series import group

    for case in cases:
        try:
            if not is_dicom(case.path):
                yield case
                continue
            with dicom_files(case.path) as files:
                headers = read_headers(files).whole
        except (CtgridError, OSError):
            yield case
            continue
        series = group(headers)
        if len(series) < 2:
            yield case
            continue
        uids = Counter(one.uid for one in series)
        for one in series:
            name = one.uid if one.uid and uids[one.uid] == 1 else str(one.number)
            yield replace(case, series=name, number=one.number, left_out=one.reason)
