"""The way of the SYN through the kernel's hooks and back, for all sources at once.

A flow is a packet with the set of clients for which it looks just so. Rules take their share of
it: a verdict ends it, a mark or a translation moves it to another flow. Where a match is not known
to hold, its clients go both ways; who ends up both admitted and blocked is undecided, and the
match's reason is why. So two branches that end alike cost nothing, and the work stays
proportional to the rules: no address is looked at by itself.

The order of things: https://wiki.nftables.org/wiki-nftables/index.php/Netfilter_hooks and
include/uapi/linux/netfilter_ipv4.h for the priorities.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import NamedTuple

from mailwitness.firewall.addresses import (
    EVERYTHING,
    NOTHING,
    IntervalSet,
    Remainder,
    format_address,
    single,
    union,
)
from mailwitness.firewall.network import LINK_LOCAL, LINK_NETWORK, LOOPBACK, LOOPBACK_6, V4, Network
from mailwitness.firewall.packet import (
    ALWAYS,
    HIDDEN,
    NEVER,
    Condition,
    Packet,
    Tracking,
    device_names,
    holds,
    joined,
    lookup,
)
from mailwitness.firewall.ruleset import (
    AllOrAny,
    Attached,
    Chain,
    Hook,
    Kind,
    Mark,
    MarkChange,
    Match,
    Never,
    NoTrack,
    Opaque,
    Rule,
    Ruleset,
    SetMark,
    Target,
    Translate,
    Unknown,
    Verdict,
    VerdictMap,
)
from mailwitness.firewall.verdict import Decider, Layer, TraceStep

CONNTRACK = -200
DSTNAT, SRCNAT = -100, 100
# Where it does something of its own.
_OF_THE_KERNEL = (Hook.PREROUTING, Hook.OUTPUT, Hook.POSTROUTING)

# The kernel allows nft 16 jumps in one another; iptables-legacy has no fixed limit.
DEEPEST = 100
MOST_FLOWS = 512
# How many times a rule may be tried in one question: rules that jump to the same chain again and
# again multiply. The floor serves small rulesets that do so reasonably.
EFFORT_FLOOR = 500_000
EFFORT_PER_RULE = 64

Flows = dict[Packet, Remainder]


class Mention(NamedTuple):
    """Something that concerned these clients on their way.

    `weight` sorts those that accepted them by what they say to an administrator: a rule more than
    a policy, the SYN's way more than the answer's, the filter hooks more than those before.
    """

    clients: IntervalSet
    decider: Decider
    reason: str = ""
    weight: tuple[bool, bool, bool] = (False, False, False)


@dataclass(slots=True)
class Outcome:
    """All that can become of the clients; the sets of different mentions may overlap."""

    admitted: list[IntervalSet] = field(default_factory=list)
    accepted: list[Mention] = field(default_factory=list)  # by rules and policies, in order
    blocked: list[Mention] = field(default_factory=list)
    unknown: list[Mention] = field(default_factory=list)
    forks: list[Mention] = field(default_factory=list)  # matches that may or may not hold


class TooMuchError(Exception):
    """The ruleset takes more work than one question is worth; told as a reason, never raised."""


class Walk:
    """One question. Call `run` once, then read `outcome`."""

    def __init__(
        self, ruleset: Ruleset, network: Network, steps: list[TraceStep] | None = None
    ) -> None:
        self.outcome = Outcome()
        self._ruleset = ruleset
        self._network = network
        self._steps = steps
        self._effort = max(EFFORT_FLOOR, EFFORT_PER_RULE * ruleset.size)
        self._hook = Hook.INGRESS
        self._reply = False
        self._family = V4

    def run(self, syn: Packet, clients: IntervalSet) -> None:
        """Follows the SYN of these clients, and the answer."""
        try:
            self._run(syn, clients)
        except TooMuchError as error:
            self._give_up(clients, str(error), Layer.OPEN)

    def _run(self, syn: Packet, clients: IntervalSet) -> None:
        self._family = syn.family
        refused = self._network.never_arrive(syn.family)
        self._block(clients & refused, "a source that never arrives here over the network")
        if syn.family != V4 and LOOPBACK_6 in syn.local:
            # ip6_rcv_core(); for IPv4 the routing decides, see _route().
            self._block(clients - refused, "an address that only the host itself can ask")
            return
        perhaps = self._network.perhaps_own(syn.family)
        self._give_up(clients & perhaps, "whether the host forwards is not known", Layer.ROUTING)
        flows = self._arrive({syn: Remainder(clients - refused - perhaps)})
        here: Flows = {}
        through: Flows = {}
        for packet, rest in flows.items():
            self._route(packet, rest.members(), here, through)
        here = self._pass(Hook.INPUT, here)
        self._listen(here)
        through = self._pass(Hook.POSTROUTING, self._pass(Hook.FORWARD, through))
        self._listen(through)
        self._reply = True
        answers = self._answers(here)
        answers_through: Flows = {}
        for packet, rest in self._arrive(self._answers(through)).items():
            if packet.client_hidden and not packet.connected:
                text = "the answer is not tracked and goes to the address that hid the client"
                self._block(rest.members(), text)
                continue
            # Only now is it routed.
            routed = packet._replace(oif=packet.leads_to, leads_to="")
            _move(answers_through, routed, rest)
        leaving = self._leave(self._pass(Hook.OUTPUT, answers))
        leaving_through = self._leave(self._pass(Hook.FORWARD, answers_through))
        for flow in (leaving, leaving_through):
            self.outcome.admitted += [rest.members() for rest in flow.values()]

    # From hook to hook

    def _arrive(self, flows: Flows) -> Flows:
        return self._pass(Hook.PREROUTING, self._pass(Hook.INGRESS, flows))

    def _leave(self, flows: Flows) -> Flows:
        """Out of the host, once the way to each client is known."""
        routed: Flows = {}
        for packet, rest in flows.items():
            if packet.dnat and not packet.connected:
                self._block(rest.members(), "the answer is not tracked and leaves untranslated")
            elif packet.dnat is None and not packet.connected:
                reason = "the answer is not tracked and may leave untranslated"
                self._give_up(rest.members(), reason, Layer.ROUTING)
            else:
                _move(routed, packet, rest)
        return self._pass(Hook.EGRESS, self._pass(Hook.POSTROUTING, routed))

    def _route(self, packet: Packet, clients: IntervalSet, here: Flows, through: Flows) -> None:
        """The decision after prerouting: a socket of this host, or another machine."""
        network = self._network
        own = network.own(packet.family)
        clients = self._check_reverse_path(packet, clients)
        if packet.family != V4 and not own.overlaps(packet.local):
            self._block(clients & LINK_LOCAL, "a link-local source, which is not forwarded")
            clients -= LINK_LOCAL
        elif not own.overlaps(packet.local):
            clients = self._no_broadcast(clients)
        if packet.family == V4 and packet.local.overlaps(LOOPBACK):
            # sysctl route_localnet is off unless somebody wanted just this.
            self._give_up(clients, "translated to a loopback address", Layer.ROUTING)
        elif own.covers(packet.local):
            _join(here, packet, clients)
        elif own.overlaps(packet.local):
            self._give_up(clients, "translated to this host or to another one", Layer.ROUTING)
        elif network.forwards is None:
            self._give_up(clients, "whether the host forwards is not known", Layer.ROUTING)
        elif not network.forwards:
            self._block(clients, "the host does not forward packets")
        else:
            devices = self._devices(packet.family, packet.local)
            if len(devices) == 1 and devices[0]:
                _join(through, packet._replace(oif=devices[0]), clients)
            elif devices == ("",):
                self._block(clients, "no route to where the packet was translated to")
            else:
                self._give_up(
                    clients, "the route to where it was translated to is not known", Layer.ROUTING
                )

    def _devices(self, family: int, addresses: IntervalSet) -> tuple[str, ...]:
        """The devices over which these addresses may be reached; "" for none, () if not known."""
        cells = self._network.devices(family)
        if cells is None:
            return ()
        numbers = union(devices for who, devices in cells if who.overlaps(addresses))
        return (*(("",) if 0 in numbers else ()), *device_names(numbers))

    def _check_reverse_path(self, packet: Packet, clients: IntervalSet) -> IntervalSet:
        """The clients that rp_filter lets in: fib_validate_source(); IPv6 has none."""
        if packet.family != V4:
            return clients
        cells = self._network.devices(V4)
        settings = self._network.reverse_path
        setting = None if settings is None else dict(settings).get(packet.iif, 0)
        if setting == 0:
            return clients
        if cells is None:
            self._give_up(clients, "rp_filter asks for routes, not captured", Layer.ROUTING)
            return NOTHING
        over = [who for who, devices in cells if packet.iif in device_names(devices)]
        routed = [who for who, devices in cells if device_names(devices)]
        straight = union(over)
        if setting is None:
            # Where it is off, a broadcast address gets in, too.
            network = self._network
            passed = straight - network.broadcast() - network.perhaps_broadcast()
            self._give_up(clients - passed, "whether rp_filter is on is not known", Layer.ROUTING)
            return clients & passed
        clients = self._no_broadcast(clients)
        if setting == 1:
            passed = straight
            self._block(clients - passed, "rp_filter: the way back leads over another device")
        else:
            passed = union(routed)
            self._block(clients - passed, "rp_filter: no way back")
        return clients & passed

    def _no_broadcast(self, clients: IntervalSet) -> IntervalSet:
        """Without those whose route back is that of a broadcast."""
        network = self._network
        self._block(clients & network.broadcast(), "a broadcast address as the source")
        lowest = network.perhaps_broadcast()
        reason = "the lowest address of a network, which is a broadcast to Linux before 5.14"
        self._give_up(clients & lowest, reason, Layer.ROUTING)
        return clients - network.broadcast() - lowest

    def _listen(self, flows: Flows) -> None:
        """Blocks what comes to a port where nothing listens."""
        for packet in list(flows):
            here = not packet.oif
            places = [
                (address, port)
                for address, last in packet.local.intervals(128)
                for port, last_port in packet.port.intervals(16)
                if last - address < MOST_PLACES and last_port - port < MOST_PLACES
                for address in range(address, last + 1)
                for port in range(port, last_port + 1)
            ]
            listening = [
                self._network.listens(packet.family, address, port, here=here)
                for address, port in places
            ]
            if listening and all(listening):
                continue
            clients = flows.pop(packet).members()
            if listening and not any(listening):
                address, port = places[0]
                self.block(clients, no_listener(packet.family, address, port))
            else:
                reason = "where the translation leads is one of several places"
                self._give_up(clients, reason, Layer.LISTENER)

    def _answers(self, flows: Flows) -> Flows:
        """The SYN-ACKs, each with the device to its client."""
        answers: Flows = {}
        for packet, rest in flows.items():
            if packet.client_hidden and not packet.oif:
                # Routed to the wrong address first, and again once it is put right.
                self._give_up(rest.members(), HIDDEN, Layer.ROUTING)
                continue
            back = packet._replace(
                reply=True,
                iif=packet.oif,
                oif="",
                # Sysctl tcp_fwmark_accept is off by default: answers carry no mark.
                mark=0,
                tracking=Tracking.NOT_YET,
                stray=not packet.connected,
            )
            cells = self._network.devices(packet.family)
            if cells is None:
                cells = ((EVERYTHING, NOTHING),)
            for who, numbers in cells:
                part = rest.common(who)
                if not part:
                    continue
                if packet.family != V4 and (link_local := part & LINK_LOCAL):
                    # tcp_v6_send_synack() answers on the link that the SYN came from, where
                    # all devices have the same network.
                    _join(answers, back._replace(oif=packet.iif), link_local & LINK_NETWORK)
                    reason = "a link-local source outside of fe80::/64"
                    self._give_up(link_local - LINK_NETWORK, reason, Layer.ROUTING)
                    part -= link_local
                names = device_names(numbers)
                if part and names:
                    for name in names:
                        _join(answers, _leaving(back, name), part)
                elif part and 0 in numbers:
                    self._block(part, "no route back to the source")
                elif part:
                    self._give_up(part, "the route back was not captured", Layer.ROUTING)
        return answers

    # Through one hook

    def _pass(self, hook: Hook, flows: Flows) -> Flows:
        """Through all base chains of the hook, by priority, with conntrack and NAT between them."""
        self._hook = hook
        chains = self._ruleset.attached(self._family, hook)
        if not flows or not (chains or hook in _OF_THE_KERNEL):
            return flows
        plain = [each for each in chains if not _is_nat(each.chain)]
        stages: list[tuple[int, Callable[[Flows], Flows]]] = [
            (priority, partial(self._pass_group, list(group)))
            for priority, group in groupby(plain, key=lambda each: each.priority)
        ]
        if hook in (Hook.PREROUTING, Hook.OUTPUT):
            stages.append((CONNTRACK, _track))
        if hook is Hook.POSTROUTING:
            stages.append((SRCNAT, _translate_back))
        nat = [each for each in chains if _is_nat(each.chain)]
        if nat:
            # All nat chains run where the NAT core stands; their priorities only sort them.
            at = DSTNAT if hook in (Hook.PREROUTING, Hook.OUTPUT) else SRCNAT
            stages.append((at, partial(self._pass_nat, nat)))
        # Stable: what has the same priority as conntrack or NAT comes before it.
        stages.sort(key=lambda stage: stage[0])
        for _, stage in stages:
            flows = stage(flows)
        return flows

    def _pass_group(self, group: list[Attached], flows: Flows) -> Flows:
        """Chains of one priority. Which of two tables came first is not always told by a capture.

        Where it matters (one of them changes the packet) both orders are followed.
        """
        if len({each.table.name for each in group}) > 1 and any(
            each.table.changes_packets for each in group
        ):
            backwards = {packet: Remainder(rest.members()) for packet, rest in flows.items()}
            for each in reversed(group):
                backwards = self._pass_chain(each, backwards)
            for each in group:
                flows = self._pass_chain(each, flows)
            for packet, rest in backwards.items():
                _move(flows, packet, rest)
            return flows
        for each in group:
            flows = self._pass_chain(each, flows)
        return flows

    def _pass_nat(self, group: list[Attached], flows: Flows) -> Flows:
        """The NAT core asks its chains for the first packet of a tracked connection only.

        The first chain that translates has the last word: nf_nat_inet_fn().
        """
        done: Flows = {}
        for packet in list(flows):
            if packet.tracking is not Tracking.NEW:
                _move(done, packet, flows.pop(packet))
        for each in group:
            run = _Run(self, each)
            aside: list[tuple[Packet, IntervalSet]] = []
            base = each.chain.base
            doubt = base.doubt if base is not None else ""
            if self._family not in self._ruleset.tracked:
                doubt = "whether connections are tracked, without which no nat chain runs"
            if doubt:
                aside = [(packet, rest.members()) for packet, rest in flows.items()]
                self._doubt(each, doubt, union(clients for _, clients in aside))
            flows = run.base_chain(flows)
            for packet, clients in run.translated:
                _join(done, packet, clients)
            for packet, clients in aside:
                _join(flows, packet, clients)
        for packet, rest in flows.items():
            _move(done, packet, rest)
        return done

    def _pass_chain(self, each: Attached, flows: Flows) -> Flows:
        base = each.chain.base
        assert base is not None
        passing: Flows = {}
        aside: Flows = {}
        for packet, rest in flows.items():
            device = packet.oif if base.hook is Hook.EGRESS else packet.iif
            clients = rest.members()
            if base.doubt:
                self._doubt(each, base.doubt, clients)
                _join(passing, packet, clients)
                _join(aside, packet, clients)
            elif not base.devices or device in base.devices:
                _join(passing, packet, clients)
            else:
                _join(aside, packet, clients)
        flows = _Run(self, each).base_chain(passing)
        for packet, rest in aside.items():
            _move(flows, packet, rest)
        return flows

    def _doubt(self, each: Attached, reason: str, clients: IntervalSet) -> None:
        """Whether they pass the base chain at all is not known."""
        table = each.table
        decider = Decider(
            Layer.POLICY, reason, table.source, table.family, table.name, each.chain.name
        )
        self.fork(clients, decider, reason)

    # What happens to clients

    def _block(self, clients: IntervalSet, text: str, layer: Layer = Layer.ROUTING) -> None:
        if clients:
            self.block(clients, Decider(layer, text))

    def block(self, clients: IntervalSet, decider: Decider) -> None:
        """Their packet is dropped or rejected."""
        self.outcome.blocked.append(Mention(clients, decider))
        self.tell(decider, clients, "the packet is dropped")

    def _give_up(self, clients: IntervalSet, reason: str, layer: Layer) -> None:
        if clients:
            self.give_up(clients, Decider(layer, reason), reason)

    def accept(self, clients: IntervalSet, decider: Decider) -> None:
        """They are through this base chain."""
        filters = self._hook in (Hook.INPUT, Hook.FORWARD)
        weight = (decider.layer is Layer.RULE, not self._reply, filters)
        self.outcome.accepted.append(Mention(clients, decider, weight=weight))
        self.tell(decider, clients, "accepted by this base chain")

    def fork(self, clients: IntervalSet, decider: Decider, reason: str) -> None:
        """For them a match may hold or not."""
        self.outcome.forks.append(Mention(clients, decider, reason))

    def give_up(self, clients: IntervalSet, decider: Decider, reason: str) -> None:
        """What becomes of them is not known."""
        self.outcome.unknown.append(Mention(clients, decider, reason))
        self.tell(decider, clients, f"undecided: {reason}")

    def spend(self, flows: int) -> None:
        """Counts the work of one rule."""
        self._effort -= flows
        if self._effort < 0:
            raise TooMuchError("jumps that multiply: too many rules to try")
        if flows > MOST_FLOWS:
            raise TooMuchError("marks and translations that multiply")

    def tell(
        self, decider: Decider, clients: IntervalSet, effect: str, matched: str = "yes"
    ) -> None:
        """For a trace."""
        if self._steps is not None and clients:
            self._steps.append(TraceStep(self._hook, decider, matched, effect, self._reply))

    @property
    def network(self) -> Network:
        """The host that is asked about."""
        return self._network


MOST_PLACES = 256


def no_listener(family: int, address: int, port: int) -> Decider:
    """What blocks there where no filter does."""
    text = f"nothing listens on {format_address(family, address)} port {port}"
    return Decider(Layer.LISTENER, text)


def _leaving(answer: Packet, device: str) -> Packet:
    """One that comes from another machine is not routed before it has passed prerouting."""
    return answer._replace(leads_to=device) if answer.iif else answer._replace(oif=device)


def _is_nat(chain: Chain) -> bool:
    return chain.base is not None and chain.base.nat


def _track(flows: Flows) -> Flows:
    """Conntrack's hook."""
    tracked: Flows = {}
    for packet, rest in flows.items():
        state = packet.tracking
        if state is Tracking.NOT_YET and not packet.reply:
            state = Tracking.NEW
        elif state is Tracking.NOT_YET:
            # Without its SYN on record a SYN-ACK is no valid first packet: tcp_new().
            state = Tracking.STRAY if packet.stray else Tracking.REPLY
        _move(tracked, packet._replace(tracking=state), rest)
    return tracked


def _translate_back(flows: Flows) -> Flows:
    """The answer of a translated connection leaves from where the client asked."""
    back: Flows = {}
    for packet, rest in flows.items():
        address, port = packet.asked
        if packet.reply and packet.connected and packet.dnat is not False:
            changed = packet._replace(local=single(address), port=single(port))
        else:
            changed = packet
        _move(back, changed, rest)
    return back


def _join(flows: Flows, packet: Packet, clients: IntervalSet) -> None:
    if clients:
        _move(flows, packet, Remainder(clients))


def _move(flows: Flows, packet: Packet, rest: Remainder) -> None:
    """The same with what a flow has left that nobody needs any more: it is not made again."""
    if rest:
        before = flows.setdefault(packet, rest)
        if before is not rest:
            before.add(rest.members())


class _Run:
    """The way through one base chain and the chains that it jumps to."""

    def __init__(self, walk: Walk, attached: Attached) -> None:
        self.translated: list[tuple[Packet, IntervalSet]] = []
        self._walk = walk
        self._table = attached.table
        self._base = attached.chain
        self._accepted: dict[Packet, list[IntervalSet]] = {}

    def base_chain(self, flows: Flows) -> Flows:
        """The flows that the chain lets pass. Takes the flows given to it over."""
        if not flows:
            return {}
        leaving = self._chain(self._base, flows, ())
        base = self._base.base
        assert base is not None
        for packet, rest in leaving.items():
            clients = rest.members()
            word = "accept" if base.accepts else "drop"
            decider = self._decider(Layer.POLICY, self._base, "", f"policy {word}")
            if base.accepts:
                self._walk.accept(clients, decider)
                self._accepted.setdefault(packet, []).append(clients)
            else:
                self._walk.block(clients, decider)
        return {packet: Remainder(union(sets)) for packet, sets in self._accepted.items()}

    def _chain(self, chain: Chain, flows: Flows, callers: tuple[str, ...]) -> Flows:
        """The flows that come back from it."""
        leaving: dict[Packet, list[IntervalSet]] = {}
        for rule in chain.rules:
            if not flows:
                break
            self._walk.spend(len(flows))
            later: list[tuple[Packet, Remainder]] = []
            for packet, rest in flows.items():
                _Attempt(self, chain, rule, callers, leaving, later).run(packet, rest)
            flows = {packet: rest for packet, rest in flows.items() if rest}
            for packet, rest in later:
                _join(flows, packet, rest.members())
        for packet, rest in flows.items():
            leaving.setdefault(packet, []).append(rest.members())
        return {packet: Remainder(union(sets)) for packet, sets in leaving.items()}

    def jump(
        self, target: str, packet: Packet, clients: IntervalSet, callers: tuple[str, ...]
    ) -> Flows | str:
        """The flows that come back from the chain, or the reason why that cannot be told."""
        chain = self._table.chains.get(target)
        if chain is None:
            return f"chain {target} is not in the capture"
        if target in callers:
            return f"a loop of jumps through chain {target}"
        if len(callers) >= DEEPEST:
            return f"more than {DEEPEST} jumps in one another"
        return self._chain(chain, {packet: Remainder(clients)}, callers)

    def _decider(self, layer: Layer, chain: Chain, place: str, text: str) -> Decider:
        table = self._table
        return Decider(layer, text, table.source, table.family, table.name, chain.name, place)

    def of_rule(self, chain: Chain, rule: Rule) -> Decider:
        """The rule as what decided."""
        return self._decider(Layer.RULE, chain, rule.place, rule.text)

    def accept(self, packet: Packet, clients: IntervalSet, decider: Decider) -> None:
        """Ends this base chain for them."""
        self._accepted.setdefault(packet, []).append(clients)
        self._walk.accept(clients, decider)

    @property
    def walk(self) -> Walk:
        """The question that this is part of."""
        return self._walk


@dataclass(slots=True)
class _Attempt:
    """One rule tried on the flows of its chain."""

    base: _Run
    chain: Chain
    rule: Rule
    callers: tuple[str, ...]
    leaving: dict[Packet, list[IntervalSet]]  # back to the calling chain
    later: list[tuple[Packet, Remainder]]  # on to the next rule

    def run(self, packet: Packet, rest: Remainder) -> None:
        """Takes from the rest whom the rule concerns."""
        # A change of the packet moves its clients to another flow, for which the rule goes on.
        work = [(packet, rest, 0)]
        while work:
            changed, clients, start = work.pop()
            for moved, group, following in self._steps(changed, clients, start):
                going_on = Remainder(group)
                self.later.append((moved, going_on))
                work.append((moved, going_on, following))

    def _steps(
        self, packet: Packet, rest: Remainder, start: int
    ) -> Iterator[tuple[Packet, IntervalSet, int]]:
        """Runs the steps from `start` on; yields changed packets and the step to go on with."""
        network = self.base.walk.network
        condition = ALWAYS
        for index in range(start, len(self.rule.steps)):
            match self.rule.steps[index]:
                case Match() as step:
                    condition &= holds(step, packet, network)
                case AllOrAny() as step:
                    condition &= joined(step, packet, network)
                case Unknown(reason):
                    condition &= Condition(NOTHING, EVERYTHING, reason)
                case Never():
                    return
                case Verdict() as step:
                    self._verdict(step, packet, rest, condition)
                    return
                case VerdictMap() as step:
                    condition = self._verdict_map(step, packet, rest, condition)
                case Opaque(reason):
                    if taken := self._take(rest, condition):
                        self.base.walk.give_up(taken, self._decider(), reason)
                    return
                case Translate() as step:
                    self._translate(step, packet, rest, condition)
                    return
                case NoTrack():
                    if packet.tracking is Tracking.NOT_YET:
                        changed = packet._replace(tracking=Tracking.OFF)
                        if taken := self._take(rest, condition):
                            self._tell(taken, condition, "not tracked")
                            yield changed, taken, index + 1
                        return
                case SetMark() as step:
                    conditions = lookup(
                        step.keys, tuple(content for content, _ in step.cases), packet, network
                    )
                    stays = NEVER
                    moves = []
                    for found, (_, change) in zip(conditions, step.cases, strict=True):
                        changed_or_none = _marked(packet, step.mark, change)
                        if changed_or_none == packet:
                            stays = _either(stays, found)
                        elif changed_or_none is not None:
                            moves.append((changed_or_none, condition & found))
                    for changed, found in moves:
                        if taken := self._take(rest, found):
                            self._tell(taken, found, _mark_text(step.mark, changed))
                            yield changed, taken, index + 1
                    condition &= stays
            if not condition.possibly:
                return

    def _take(self, rest: Remainder, condition: Condition) -> IntervalSet:
        """Those whom the condition concerns; whom it surely concerns are no longer in the rest."""
        taken = rest.common(condition.possibly)
        if not taken:
            return taken
        if condition.reason and (unsure := taken - condition.surely):
            self.base.walk.fork(unsure, self._decider(), condition.reason)
        rest.discard(condition.surely)
        return taken

    def _verdict(
        self, verdict: Verdict, packet: Packet, rest: Remainder, condition: Condition
    ) -> None:
        if verdict.kind is Kind.CONTINUE:
            return
        taken = self._take(rest, condition)
        if not taken:
            return
        match verdict.kind:
            case Kind.ACCEPT:
                self.base.accept(packet, taken, self._decider())
            case Kind.DROP:
                self.base.walk.block(taken, self._decider())
            case Kind.RETURN:
                self._tell(taken, condition, "returns")
                self.leaving.setdefault(packet, []).append(taken)
            case Kind.JUMP | Kind.GOTO:
                self._tell(taken, condition, f"on to chain {verdict.target}")
                callers = (*self.callers, self.chain.name)
                back = self.base.jump(verdict.target, packet, taken, callers)
                if isinstance(back, str):
                    self.base.walk.give_up(taken, self._decider(), back)
                elif verdict.kind is Kind.JUMP:
                    self.later.extend(back.items())
                else:
                    for returned, clients in back.items():
                        self.leaving.setdefault(returned, []).append(clients.members())

    def _verdict_map(
        self, step: VerdictMap, packet: Packet, rest: Remainder, condition: Condition
    ) -> Condition:
        """Returns for whom the rule goes on after it: those with the verdict `continue`."""
        self.base.walk.spend(len(step.cases))
        contents = tuple(content for content, _ in step.cases)
        found = _exclusive(lookup(step.keys, contents, packet, self.base.walk.network))
        cases = [(each, verdict) for each, (_, verdict) in zip(found, step.cases, strict=True)]
        if step.otherwise is not None:
            anywhere = NEVER
            for each in found:
                anywhere = _either(anywhere, each)
            cases.append((~anywhere, step.otherwise))
        goes_on = NEVER
        for each, verdict in cases:
            if verdict.kind is Kind.CONTINUE:
                goes_on = _either(goes_on, each)
            elif each.possibly:
                self._verdict(verdict, packet, rest, condition & each)
        return condition & goes_on

    def _translate(
        self, step: Translate, packet: Packet, rest: Remainder, condition: Condition
    ) -> None:
        walk = self.base.walk
        contents = tuple(content for content, _ in step.cases)
        found = _exclusive(lookup(step.keys, contents, packet, walk.network))
        for each, (_, target) in zip(found, step.cases, strict=True):
            if target.family not in (None, packet.family):
                continue
            concerned = condition & each
            taken = self._take(rest, concerned)
            if not taken:
                continue
            if step.source:
                self.base.translated.append((packet._replace(client_hidden=True), taken))
                continue
            changed = _translated(packet, target, walk.network)
            if isinstance(changed, str):
                walk.give_up(taken, self._decider(), changed)
            elif changed is None:
                walk.block(taken, self._decider())
            else:
                self._tell(taken, concerned, f"now to {_place(changed)}")
                self.base.translated.append((changed, taken))

    def _decider(self) -> Decider:
        return self.base.of_rule(self.chain, self.rule)

    def _tell(self, clients: IntervalSet, condition: Condition, effect: str) -> None:
        sure = condition.surely.covers(clients)
        self.base.walk.tell(self._decider(), clients, effect, "yes" if sure else "perhaps")


def _either(one: Condition, other: Condition) -> Condition:
    return ~(~one & ~other)


def _exclusive(conditions: list[Condition]) -> list[Condition]:
    """Cases of a map: where two may hold, neither surely does."""
    if len(conditions) < 2:  # noqa: PLR2004
        return conditions
    seen = twice = NOTHING
    for each in conditions:
        twice |= seen & each.possibly
        seen |= each.possibly
    if not twice:
        return conditions
    reason = "entries of a map that overlap"
    return [
        Condition(each.surely - twice, each.possibly, each.reason or reason) for each in conditions
    ]


def _marked(packet: Packet, mark: Mark, change: MarkChange) -> Packet | None:
    """The packet with its new mark. None: the rule ends, there is no connection to ask."""
    own, other = packet.mark, packet.ct_mark
    if mark is Mark.CONNECTION:
        own, other = other, own
    if not packet.connected:
        if change.keep if mark is Mark.CONNECTION else change.take:
            return None
        if mark is Mark.CONNECTION:
            return packet
    value: int | None
    if change.unknown or (own is None and change.keep) or (other is None and change.take):
        value = None
    else:
        value = ((own or 0) & change.keep) ^ ((other or 0) & change.take) ^ change.constant
    if mark is Mark.CONNECTION:
        return packet._replace(ct_mark=value)
    return packet._replace(mark=value)


def _mark_text(mark: Mark, packet: Packet) -> str:
    value = packet.mark if mark is Mark.PACKET else packet.ct_mark
    name = "mark" if mark is Mark.PACKET else "connection mark"
    return f"{name} is now {'unknown' if value is None else hex(value)}"


def _translated(packet: Packet, target: Target, network: Network) -> Packet | str | None:
    """The packet with its new destination; None: dropped; a text: the reason why it is unknown."""
    if target.unknown:
        return target.unknown
    local, port = packet.local, packet.port
    if target.own:
        asked = local.only()
        if asked is None:
            return "translated twice"
        local = network.redirect_to(packet.family, packet.iif, asked)
        if not local:
            return None
    elif target.addresses is not None:
        local = target.addresses
    if target.ports is not None and not target.ports.covers(port):
        port = target.ports
    certain = local.only() is not None and port.only() is not None
    moved = (local, port) != (packet.local, packet.port) if certain else None
    return packet._replace(local=local, port=port, dnat=moved)


def _place(packet: Packet) -> str:
    address, port = packet.local.only(), packet.port.only()
    name = "one of several" if address is None else format_address(packet.family, address)
    return f"{name} port {'one of several' if port is None else port}"
