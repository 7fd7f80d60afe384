"""Verdicts: who the best peer is, the ratios, and whether an aim is met."""

from __future__ import annotations

from bench.peers.comparing import Compared, Row
from bench.peers.systems import OURS, PLAIN, Aim

__all__ = ["aim_text", "best_peer", "verdict"]


def best_peer(compared: Compared) -> Row | None:
    """The peer with the most events a second, or the least latency, among those that came to the right result."""
    known = [row for row in compared.rows if row.system not in (OURS.name, PLAIN.name) and not row.problem]
    peers = [row for row in known if row.median is not None]
    if not peers:
        return None
    best = min if compared.job.rate else max
    return best(peers, key=lambda row: row.median or 0.0)


def aim_text(aim: Aim) -> str:
    """An aim in words."""
    said = [
        "" if aim.p50_ms is None else f"p50 ≤ {aim.p50_ms} ms",
        "" if aim.p99_ms is None else f"p99 ≤ {aim.p99_ms} ms",
        "" if aim.peer is None else "not above any peer" if aim.p50_ms else f"≥ {aim.peer:g} × the best peer",
        "" if aim.plain is None else f"≥ {aim.plain:.0%} of a plain loop".replace("%", " %"),
        "" if aim.of_w1 is None else f"≥ {aim.of_w1:.0%} of our W1".replace("%", " %"),
        "" if aim.per_s is None else f"≥ {aim.per_s:,.0f}/s",
    ]
    return "; ".join(filter(None, said))


def verdict(compared: Compared, w1: Row | None) -> str:
    """Whether the aim is met; where it is not, what is missed. "" without an aim, or without figures of ours."""
    aim, ours = compared.job.aim, compared.row(OURS.name)
    if aim == Aim() or ours is None:
        return ""
    peer, plain = best_peer(compared), compared.row(PLAIN.name)
    missed: list[str] = []
    if aim.p50_ms is not None:
        missed += _late("p50", ours.median, aim.p50_ms) + _late("p99", ours.p99, aim.p99_ms)
        if peer is not None and (ours.median or 0.0) > (peer.median or 0.0):
            missed.append(f"above {peer.title}")
    else:
        missed += _short("the best peer", None if peer is None else ours.ratio(peer), aim.peer)
    missed += _short("a plain loop", None if plain is None else ours.ratio(plain), aim.plain)
    if aim.per_s is not None and (ours.median or 0.0) < aim.per_s:
        missed.append(f"{ours.median:,.0f}/s")
    missed += _short("our W1", None if w1 is None else ours.ratio(w1), aim.of_w1)
    return f"missed: {', '.join(missed)}" if missed else "met"


def _late(what: str, found: float | None, most: float | None) -> list[str]:
    return [f"{what} {found:.2f} ms"] if found is not None and most is not None and found > most else []


def _short(of: str, found: float | None, least: float | None) -> list[str]:
    if least is None:
        return []
    if found is None:
        return [f"nothing to compare with {of}"]
    return [] if found >= least else [f"{found:.2f} of {of}"]
