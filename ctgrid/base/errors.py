"""The one exception that ctgrid raises for bad input, and the one warning."""


class CtgridError(ValueError):
    """Bad input, named precisely: what is wrong, where, and what to do about it.

    The command line prints the message as one line and exits with code 1, so a message
    must make sense without a traceback.
    """


class CtgridWarning(UserWarning):
    """Something that goes on as asked and that the user should know of; the command line prints it as one line."""
