"""Random rulesets put in force, real SYNs, and the engine asked the same."""

import collections
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mailwitness.firewall.addresses import EVERYTHING
from mailwitness.firewall.network import Network
from mailwitness.firewall.reach import Capture, read
from mailwitness.firewall.ruleset import FirewallError
from mailwitness.firewall.verdict import Answer, Decider, Layer, Reachability, Share
from tests.firewall.cases import to_document, write
from tests.firewall.kernel import scene
from tests.firewall.kernel.filters import Filters, Ruleset
from tests.firewall.kernel.iptables_rulesets import IptablesRuleset
from tests.firewall.kernel.namespaces import Host, Probe
from tests.firewall.kernel.nft_rulesets import PORTS, NftRuleset
from tests.firewall.kernel.sources import Pool
from tests.firewall.kernel.tools import ToolError

PROBES = 110
NOT_CAPTURED = 0.05  # of the rulesets: something of the host is not known
# One that nothing listens on, and two that few rules name.
PROBED = (*PORTS, *PORTS, *PORTS, 26, 22, 2525)
KINDS = ("nft",) * 9 + ("legacy", "legacy", "nft back end", "nft back end", "mixed", "translated")
RULESETS_PER_SCENE = 20
LONGEST_SHRINKING = 60.0


@dataclass
class Tally:
    """What came of the trials so far."""

    trials: int = 0
    admitted: int = 0
    rulesets: collections.Counter[str] = field(default_factory=collections.Counter)  # by kind
    not_loaded: list[str] = field(default_factory=list)
    commands: int = 0
    refused: list[str] = field(default_factory=list)  # nft commands
    undecided: collections.Counter[str] = field(default_factory=collections.Counter)  # by reason
    wrong: int = 0
    told: list[str] = field(default_factory=list)  # some of what was wrong, in words
    lost: int = 0  # answers that were another one when asked again
    late: int = 0

    def lines(self) -> Iterator[str]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.rulesets.most_common())
        share = 100 * sum(self.undecided.values()) / max(self.trials, 1)
        yield (
            f"{self.trials} trials ({100 * self.admitted / max(self.trials, 1):.0f} % admitted by "
            f"the kernel), {self.wrong} wrong, {share:.2f} % undecided"
        )
        yield f"rulesets: {kinds}; {len(self.not_loaded)} not loaded"
        yield (
            f"nft commands: {self.commands}, refused {len(self.refused)}; "
            f"answers lost {self.lost}, late {self.late}"
        )
        for reason, count in self.undecided.most_common():
            yield f"{100 * count / self.trials:6.2f} % undecided: {reason}"
        yield from (f"not loaded: {each}" for each in self.not_loaded[:5])
        yield from self.told


@dataclass(frozen=True)
class Wrong:
    """A definite answer of the engine that differs from the kernel's."""

    probe: Probe
    admitted: bool  # by the kernel
    share: Share


def run(
    seed: int,
    trials: int,
    keep: Path | None = None,
    kind: str | None = None,
    root: Path | None = None,
) -> Tally:
    """Trials until there are so many. What was wrong is shrunk and kept in the folder, if any."""
    rng = random.Random(seed)
    tally = Tally()
    while tally.trials < trials:
        with Host(scene.draw(rng)) as host:
            asker = Asker(host, root)
            try:
                for _ in range(RULESETS_PER_SCENE):
                    _one(asker, tally, rng.getrandbits(32), kind, keep)
                    if tally.trials >= trials:
                        break
            finally:
                tally.refused += asker.filters.refused
                tally.late += host.late
                asker.close()
    return tally


def _one(asker: "Asker", tally: Tally, seed: int, kind: str | None, keep: Path | None) -> None:
    rng = random.Random(seed)
    drawn = rng.choice(KINDS)
    kind = kind or drawn
    pool = Pool(rng)
    ruleset = draw(rng, pool, kind)
    tally.commands += len(ruleset.nft)
    probes = draw_probes(rng, pool)
    asker.network = _forgotten(rng, asker.whole)
    try:
        asked = asker.ask(ruleset, probes)
    except ToolError as error:
        tally.not_loaded.append(f"{kind} {seed}: {error}")
        return
    tally.rulesets[kind] += 1
    tally.trials += len(probes)
    tally.admitted += sum(asked.admitted)
    tally.lost += asked.lost
    for share in asked.shares:
        if share.answer is Answer.UNDECIDED:
            tally.undecided[share.reason] += 1
    tally.wrong += len(asked.wrong)
    tally.told += [_told(f"{kind} {seed}", each) for each in asked.wrong[:3]]
    if asked.wrong and keep is not None:
        _keep(asker, ruleset, asked.wrong, keep / f"{kind.replace(' ', '-')}-{seed}.json")


def _forgotten(rng: random.Random, network: Network) -> Network:
    """Now and then without something that was not captured: what is still said must be right."""
    if rng.random() > NOT_CAPTURED:
        return network
    return rng.choice(
        (
            replace(network, routes=None),
            replace(network, forwards=None),
            replace(network, reverse_path=None),
            replace(network, lowest_is_broadcast=None),
        )
    )


def draw(rng: random.Random, pool: Pool, kind: str) -> Ruleset:
    """A random ruleset of one of the kinds."""
    match kind:
        case "nft":
            return Ruleset(tuple(NftRuleset(rng, pool).commands))
        case "legacy":
            drawn = IptablesRuleset(rng, pool, "legacy")
            return Ruleset(legacy=drawn.texts, sets=tuple(drawn.sets))
        case "nft back end":
            drawn = IptablesRuleset(rng, pool, "nft")
            return Ruleset(nft_back_end=drawn.texts, sets=tuple(drawn.sets))
        case "translated":
            return Ruleset(translated=IptablesRuleset(rng, pool, "translate").texts)
        case "mixed":
            drawn = IptablesRuleset(rng, pool, "legacy")
            more = IptablesRuleset(rng, pool, "translate")
            native = NftRuleset(rng, pool).commands if rng.random() < 0.5 else ()
            return Ruleset(tuple(native), drawn.texts, more.texts, {}, tuple(drawn.sets))
        case _:
            raise ValueError(kind)


def draw_probes(rng: random.Random, pool: Pool) -> list[Probe]:
    probes = []
    for family in (4, 6):
        for source in pool.sources(family, PROBES // 2):
            interface = rng.choice(("eth0", "eth0", "eth0", "eth1"))
            where = scene.DESTINATIONS[interface] if rng.random() < 0.93 else scene.ELSEWHERE
            address = rng.choice(where[family == 6])
            probes.append(Probe(source, address, rng.choice(PROBED), interface))
    return [probe for probe in probes if not probe.source.startswith(scene.UNWATCHED)]


@dataclass(frozen=True)
class Asked:
    """What the kernel and the engine said to each probe."""

    capture: Capture
    admitted: Sequence[bool]
    shares: Sequence[Share]
    wrong: Sequence[Wrong]
    lost: int


class Asker:
    """Asks the kernel and the engine, in one host."""

    def __init__(self, host: Host, root: Path | None = None) -> None:
        self.filters = Filters(root)
        self.whole: Network = host.network()
        self.network = self.whole  # as far as the engine is told
        self._host = host

    def close(self) -> None:
        self.filters.close()

    def ask(self, ruleset: Ruleset, probes: Sequence[Probe]) -> Asked:
        """Raises ToolError if the ruleset cannot be loaded."""
        capture = self.filters.load(ruleset)
        admitted = self._host.probe(probes)
        shares = self._shares(capture, probes)
        wrong = [
            Wrong(probe, was, share)
            for probe, was, share in zip(probes, admitted, shares, strict=True)
            if share.answer is not Answer.UNDECIDED and (share.answer is Answer.ADMITTED) != was
        ]
        # A frame may get lost: what is wrong must be so twice.
        again = self._host.probe([each.probe for each in wrong]) if wrong else []
        confirmed = [each for each, was in zip(wrong, again, strict=True) if was == each.admitted]
        return Asked(capture, admitted, shares, confirmed, len(wrong) - len(confirmed))

    def _shares(self, capture: Capture, probes: Sequence[Probe]) -> list[Share]:
        try:
            firewall = read(capture)
        except FirewallError as error:
            # nft 1.0.6 cuts its JSON off at a dormant table.
            decider = Decider(Layer.OPEN, error.what)
            reason = f"no valid JSON: {error.what}"
            return [Share(Answer.UNDECIDED, EVERYTHING, reason, decider)] * len(probes)
        known: dict[tuple[str, int, str], Reachability] = {}
        shares = []
        for probe in probes:
            key = (probe.address, probe.port, probe.interface)
            if key not in known:
                known[key] = firewall.reach(self.network, *key)
            shares.append(known[key].of(probe.source))
        return shares


def _told(name: str, wrong: Wrong) -> str:
    kernel = "admits" if wrong.admitted else "blocks"
    return (
        f"WRONG {name}: {wrong.probe}: the kernel {kernel}, "
        f"the engine says {wrong.share.answer} by {wrong.share.decided_by}"
    )


# Shrinking


def _keep(asker: Asker, ruleset: Ruleset, wrong: Sequence[Wrong], path: Path) -> None:
    ruleset, wrong = _shrunk(asker, ruleset, list(wrong[:3]))
    probes = [each.probe for each in wrong]
    asked = asker.ask(ruleset, probes)
    document: dict[str, Any] = to_document(
        path.stem,
        asked.capture,
        asker.network,
        [
            (p.source, p.address, p.port, p.interface, was)
            for p, was in zip(probes, asked.admitted, strict=True)
        ],
    )
    write(path, document)


def _shrunk(
    asker: Asker, ruleset: Ruleset, wrong: Sequence[Wrong]
) -> tuple[Ruleset, Sequence[Wrong]]:
    """Leaves out one line after the other as long as something stays wrong."""
    end = time.monotonic() + LONGEST_SHRINKING
    smaller = True
    while smaller:
        smaller = False
        for less in _with_one_less(ruleset):
            if time.monotonic() > end:
                return ruleset, wrong
            try:
                asked = asker.ask(less, [each.probe for each in wrong])
            except ToolError:
                continue
            if asked.wrong:
                ruleset, wrong, smaller = less, asked.wrong, True
                break
    return ruleset, wrong


def _with_one_less(ruleset: Ruleset) -> Iterator[Ruleset]:
    for nft in _less(ruleset.nft):
        yield replace(ruleset, nft=nft)
    for sets in _less(ruleset.sets):
        yield replace(ruleset, sets=sets)
    for legacy in _less_text(ruleset.legacy):
        yield replace(ruleset, legacy=legacy)
    for nft_back_end in _less_text(ruleset.nft_back_end):
        yield replace(ruleset, nft_back_end=nft_back_end)
    for translated in _less_text(ruleset.translated):
        yield replace(ruleset, translated=translated)


def _less(lines: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if len(lines) > 1:
        yield lines[len(lines) // 2 :]
        yield lines[: len(lines) // 2]
    for at in reversed(range(len(lines))):
        yield (*lines[:at], *lines[at + 1 :])


def _less_text(texts: Mapping[int, tuple[str, ...]]) -> Iterator[dict[int, tuple[str, ...]]]:
    for family in texts:
        yield {other: lines for other, lines in texts.items() if other != family}
    for family, lines in texts.items():
        for at in reversed(range(len(lines))):
            if lines[at].startswith("-A"):
                yield {**texts, family: (*lines[:at], *lines[at + 1 :])}
