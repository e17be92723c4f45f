"""Salesforce's record Ids: the object's prefix, a number in base 62, three characters of checksum."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
INSTANCE = "Hs000"


def checksum(five: str) -> str:
    """One character that says which of five are capitals, so that Ids survive readers blind to case."""
    return CHECKSUM[sum(1 << place for place, character in enumerate(five) if "A" <= character <= "Z")]


def id_with_checksum(fifteen: str) -> str:
    return fifteen + "".join(checksum(fifteen[start : start + 5]) for start in (0, 5, 10))


def record_ids(prefix: str, first: int, count: int) -> list[str]:
    """The Ids numbered from `first` on; they sort as they are numbered. There is room for 14 million."""
    head = f"{prefix}{INSTANCE}00"
    fixed = checksum(head[:5]) + checksum(head[5:10])
    pairs = [a + b for a in ALPHABET for b in ALPHABET]
    ids = []
    for number in range(first, first + count):
        high, low = divmod(number, 62 * 62)
        tail = f"{ALPHABET[high // 62]}{ALPHABET[high % 62]}{pairs[low]}"
        ids.append(f"{head}0{tail}{fixed}{checksum(tail)}")
    return ids
