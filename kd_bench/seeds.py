"""One seed per purpose, derived from the run's seed, so that a new random draw for one purpose changes no other."""

import hashlib


def seed_for(seed: int, purpose: str) -> int:
    """Returns the seed, in [0, 2**31), of one purpose ("shuffle", "augmentation", ...) of the run with this seed."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
