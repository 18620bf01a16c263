"""What can be wrong with a store."""


class StoreError(Exception):
    """The store cannot do what was asked for; the message says what to do."""
