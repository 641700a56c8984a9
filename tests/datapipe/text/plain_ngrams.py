"""The shares of n-grams by plain Python, from the definitions of each system: what the kernels are held against."""

import collections


def greedy(tokens: list[str], n: int, joined: bool) -> int:
    seen: set[object] = set()
    total = at = 0
    while at + n <= len(tokens):
        key = "".join(tokens[at : at + n]) if joined else tuple(tokens[at : at + n])
        if key in seen:
            total += sum(map(len, tokens[at : at + n]))
            at += n
        else:
            seen.add(key)
            at += 1
    return total


def ngrams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def size(tokens: tuple[str, ...] | list[str]) -> int:
    return sum(map(len, tokens))


def ngram_shares(tokens: list[str], unit: str, whole: int, space: int, definition: str) -> dict[str, float]:
    shares = {}
    for n in range(2, 11):
        grams = ngrams(tokens, n)
        counted = collections.Counter(grams)
        if n < 5:
            top, share = max(counted.values(), default=0), 0.0
            tied = [gram for gram, seen in counted.items() if seen == top]
            if definition in ("datapipe", "datatrove") and top > 3 * (definition == "datapipe"):
                share = (size(tied[0]) + space * (n - 1)) * top / whole
            elif definition == "dolma" and top:
                share = size(tied[0]) * top / size(tokens)
            elif definition == "dclm" and top > 1:
                share = max(map(size, tied)) * top / size(tokens)
            shares[f"top_{n}{unit}_share"] = share
            continue
        if definition == "dolma":
            share = sum(size(g) for g in grams if counted[g] > 1) / max(sum(map(size, grams)), 1)
        elif definition == "dclm":
            covered = {j for i, g in enumerate(grams) if counted[g] > 1 for j in range(i, i + n)}
            share = sum(len(tokens[j]) for j in covered) / max(size(tokens), 1)
        else:
            share = greedy(tokens, n, joined=definition == "datatrove") / whole
        shares[f"duplicate_{n}{unit}_share"] = share
    return shares
