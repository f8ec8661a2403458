"""Commands about the network: what is plugged where, what the host lets in."""
from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from pyemu.config import UserError
from pyemu.monitor.command import Command, CommandError
from pyemu.net.registry import describe
from pyemu.options.network import forward

if TYPE_CHECKING:
    from pyemu.monitor.monitor import Monitor
    from pyemu.net.user import UserNetwork

RULE = "[netdev_id] [tcp|udp]:[hostaddr]:hostport"


def network(monitor: Monitor, arguments: list[str]) -> str:
    return describe(monitor.config)


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
)
