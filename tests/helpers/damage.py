"""What happens to files on disk."""


def cut(path):
    """Takes a file's last bytes away."""
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    """Turns one bit in a file's middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
