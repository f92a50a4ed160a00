"""The one exception that ctgrid raises for bad input, and the one warning."""


class CtgridError(ValueError):
    """Bad input, named precisely: what is wrong, where, and what to do about it.

    The command line prints the message as one line and exits with code 1, so a message
    must make sense without a traceback.
    """


class CtgridWarning(UserWarning):
    """Something that goes on as asked and that the user should know of; the command line prints it as one line."""


_LONGEST_REASON = 200


def one_line(words: str) -> str:
    """Return words without line breaks, whole: what ctgrid itself says.

    Args:
        words: An error's, a title's.
    """
    return " ".join(words.split())


def reason_of(error: BaseException) -> str:
    """Return what another library says as one short printable line.

    Args:
        error: Its exception.
    """
    words = one_line(str(error)[:2000])
    line = "".join(c for c in words if c.isprintable())
    return (line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "...") or type(error).__name__
