"""The outside view: what a client gets from a mail port, whatever the host says of itself."""
