"""Real Debian mail hosts on one machine: systemd, sshd, Dovecot, Postfix and a packet filter each."""
