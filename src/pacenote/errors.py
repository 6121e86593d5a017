"""The two ways a command may end badly; the command line prints either as one line.

Every message names what is wrong (the file, the row, the key) and the mend.
"""


class PacenoteError(Exception):
    """A failure with a one-line explanation. Exit code 1."""

    exit_code = 1


class InputError(PacenoteError):
    """What the user gave is wrong: a missing file, a bad schema, an unknown key. Exit code 2."""

    exit_code = 2
