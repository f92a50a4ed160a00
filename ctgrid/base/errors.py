"""The one exception that ctgrid raises for bad input, and the one warning."""


class CtgridError(ValueError):
    """Bad input, named precisely: what is wrong, where, and what to do about it.

    The command line prints the message as one line and exits with code 1, so a message
    must make sense without a traceback.
    """


class MisuseError(CtgridError):
    """What was asked for does not fit together; nothing was opened yet. The command line exits with 2."""


class CtgridWarning(UserWarning):
    """Something that goes on as asked and that the user should know of; the command line prints it as one line."""


_LONGEST_REASON = 200


def printable(text: str, instead: str = "?") -> str:
    """Return a text without what steers a terminal or turns its direction: control and format characters.

    The one place where names and texts of foreign files are cleaned before anyone is shown them.

    Args:
        text: Of a file's name or header, say.
        instead: What each such character becomes; an empty text leaves it out.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else instead for c in text)


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
    line = printable(one_line(str(error)[:2000]), "")
    return (line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "...") or type(error).__name__
