"""What can go wrong with the lab."""


class LabError(Exception):
    """The lab cannot do what is asked; the message says what to do."""
