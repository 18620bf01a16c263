# Runs in every host's file system before it boots: a sound Postfix with 25, 465 and 587.
# The exclusions are read by every version of Postfix, ">=TLSv1.2" only from 3.6 on.
install -d -m 700 -o postfix -g root /var/spool/postfix/private
install -d -m 700 -o mail -g mail /srv/mail
chgrp dovecot /etc/dovecot/users
chmod 640 /etc/dovecot/users
postconf -e 'myhostname = mail.lab.example' 'mydestination = localhost' 'inet_interfaces = all' \
    'inet_protocols = all' 'compatibility_level = 2' 'maillog_file =' \
    'smtpd_tls_cert_file = /etc/ssl/mail/fullchain.pem' \
    'smtpd_tls_key_file = /etc/ssl/mail/privkey.pem' \
    'smtpd_tls_security_level = may' 'smtpd_tls_auth_only = yes' \
    'smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1' \
    'smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1' \
    'smtpd_sasl_type = dovecot' 'smtpd_sasl_path = private/auth'
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P 'submission/inet/smtpd_tls_security_level=encrypt' 'submission/inet/smtpd_sasl_auth_enable=yes'
postconf -M 'submissions/inet=465 inet n - y - - smtpd'
postconf -P '465/inet/smtpd_tls_wrappermode=yes' '465/inet/smtpd_sasl_auth_enable=yes'
# By default Postfix takes anonymous and static key exchange and SHA-1 signatures everywhere, which
# is right for port 25 alone.
for port in submission 465; do
    postconf -P "$port/inet/smtpd_tls_exclude_ciphers=aNULL,kRSA" \
        "$port/inet/tls_medium_cipherlist=HIGH:@STRENGTH:@SECLEVEL=2"
done
