"""Key-exchange groups and signature algorithms by their numbers, in a client's order.

From https://www.iana.org/assignments/tls-parameters. None of the groups need be computed here:
up to TLS 1.2 the server shows its share first, and of 1.3 what it does with a share is not read.
"""

_CURVES: dict[int, str] = {
    0x001D: "x25519",
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001E: "x448",
}
# A server that has none of a hello's groups answers as one that refuses the version.
GROUPS: dict[int, str] = {
    **_CURVES,
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    0x0016: "secp256k1",
    0x0015: "secp224r1",
    0x0014: "secp224k1",
    0x0013: "secp192r1",
    0x0012: "secp192k1",
    0x0011: "secp160r2",
    0x0010: "secp160r1",
    0x000F: "secp160k1",
    0x000E: "sect571r1",
    0x000D: "sect571k1",
    0x000C: "sect409r1",
    0x000B: "sect409k1",
    0x000A: "sect283r1",
    0x0009: "sect283k1",
    0x0008: "sect239k1",
    0x0007: "sect233r1",
    0x0006: "sect233k1",
    0x0005: "sect193r2",
    0x0004: "sect193r1",
    0x0003: "sect163r2",
    0x0002: "sect163r1",
    0x0001: "sect163k1",
}
# Without those above that 1.3 does not know: tlslite-ng aborts at them. The ffdhe groups stand
# here alone: in an older hello they would bind the choice of DHE (RFC 7919 §4).
GROUPS_OF_TLS_1_3: dict[int, str] = {
    0x11EC: "X25519MLKEM768",
    0x11EB: "SecP256r1MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
    **_CURVES,
    0x001F: "brainpoolP256r1tls13",
    0x0020: "brainpoolP384r1tls13",
    0x0021: "brainpoolP512r1tls13",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x6399: "X25519Kyber768Draft00",
    0x639A: "SecP256r1Kyber768Draft00",
    0x0029: "curveSM2",
}
# Public keys that a server takes for a client's: the base points (RFC 7748 §4.1, SEC 2 §2.4.2).
SHARES: dict[int, bytes] = {
    0x001D: bytes([9, *bytes(31)]),
    0x0017: bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ),
}
# Where a certificate's key may lie; such a group must stay on offer for the certificate's sake.
CURVES_OF_CERTIFICATES = frozenset((*GROUPS,)) - {0x001D, 0x001E}

SIGNATURES: dict[int, str] = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0401: "rsa_pkcs1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
    0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
    0x0402: "dsa_sha256",
    0x0502: "dsa_sha384",
    0x0602: "dsa_sha512",
    0x0303: "ecdsa_sha224",
    0x0301: "rsa_pkcs1_sha224",
    0x0302: "dsa_sha224",
    0x0203: "ecdsa_sha1",
    0x0201: "rsa_pkcs1_sha1",
    0x0202: "dsa_sha1",
    0x0101: "rsa_pkcs1_md5",
}
