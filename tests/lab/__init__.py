"""Real Debian mail hosts on one machine, each with systemd, sshd, Dovecot, Postfix and a filter."""
