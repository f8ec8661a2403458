"""Commands about the network: what is plugged where, what the host lets in."""
from __future__ import annotations

import re
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from pyemu.config import UserError
from pyemu.monitor.command import Command, CommandError, UsageError
from pyemu.net.registry import card_names, describe
from pyemu.options.network_backends import forward

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor
    from pyemu.net.user import UserNetwork

RULE = "[netdev_id] [tcp|udp]:[hostaddr]:hostport"


def network(monitor: Monitor, arguments: list[str]) -> str:
    return describe(monitor.config)


def switch_link(monitor: Monitor, arguments: list[str]) -> str:
    name, state = arguments
    if state not in ("on", "off"):
        raise UsageError("Expected 'on' or 'off'")
    try:
        set_link(monitor, name, state == "on")
    except CommandError as error:
        raise CommandError(f"Error: {error}") from None
    return ""


def set_link(monitor: Monitor, name: str, up: bool) -> None:
    """Plug or unplug a card, named by itself or by what is at the other end of its cable."""
    config = monitor.config
    for number, card in enumerate(card_names(config)):
        if name in (card, config.nics[number].netdev):
            monitor.runner.call(partial(monitor.runner.machine.nics[number].set_link, up))
            return
    raise CommandError(f"Device '{name}' not found")


def usernet(monitor: Monitor, arguments: list[str]) -> str:
    return "".join(f"Hub -1 ({network.config.id}):\n{network.loop.ask(network.connections)}"
                   for network in monitor.runner.netdevs.user_networks())


def add_forward(monitor: Monitor, arguments: list[str]) -> str:
    network = _network(monitor, arguments[:-1])
    try:
        rule = forward(arguments[-1])
        network.loop.ask(lambda: network.add_forward(rule))
    except UserError as error:
        raise CommandError(str(error)) from None
    return ""


def remove_forward(monitor: Monitor, arguments: list[str]) -> str:
    network = _network(monitor, arguments[:-1])
    text = arguments[-1]
    rule = re.fullmatch(r"(tcp|udp|):([^:]*):([0-9]{1,5})", text, re.ASCII)
    if not rule:
        raise CommandError("invalid format")
    protocol, host, port = rule.groups()
    try:
        IPv4Address(host or 0)
    except ValueError:
        raise CommandError("invalid format") from None
    found = network.loop.ask(lambda: network.remove_forward(protocol == "udp", host, int(port)))
    return f"host forwarding rule for {text} {'removed' if found else 'not found'}"


def _network(monitor: Monitor, names: list[str]) -> UserNetwork:
    """The one of that name, or the first."""
    networks = monitor.runner.netdevs.user_networks()
    for network in networks:
        if names in ([], [network.config.id]):
            return network
    if names:
        raise CommandError(f"unrecognized netdev id '{names[0]}'")
    raise CommandError("user mode network stack not in use")


INFO = (
    Command("network", "", "show the network state", network),
    Command("usernet", "", "show user network stack connection states", usernet),
)
COMMANDS = (
    Command("hostfwd_add", f"{RULE}-[guestaddr]:guestport",
            "redirect TCP or UDP connections from host to guest (requires -net user)",
            add_forward, required=1, optional=1),
    Command("hostfwd_remove", RULE, "remove host-to-guest TCP or UDP redirection",
            remove_forward, required=1, optional=1),
    Command("set_link", "name on|off", "change the link status of a network adapter", switch_link,
            required=2, kinds="sb", complete=lambda monitor, words: (
                card_names(monitor.config) if len(words) == 1 else ["on", "off"])),
)
