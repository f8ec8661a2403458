"""The network: `-nic`, `-netdev` with `-device e1000`, `-net`, `-object filter-dump`.

`-nic user,hostfwd=...` is short for `-netdev user,id=ID,hostfwd=... -device e1000,netdev=ID`.
"""
import re

from pyemu.config import HUB, DumpConfig, NicConfig, UserError, UserNetConfig
from pyemu.options import keyvalue
from pyemu.options.network_backends import Netdev, build, parse
from pyemu.options.request import Answer, Request
from pyemu.report import complain

MODELS = ("e1000",)
MAXIMUM = 8  # cards
NIC_KEYS = ("model", "mac", "id")
CARD_KEYS = ("driver", "netdev", "mac", "id")
HUB_KEYS = ("type", "model", "macaddr", "netdev")
IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]*", re.ASCII)


def nic(request: Request, text: str) -> None:
    """-nic: a card and what it is plugged into."""
    request.network_given = True
    kind, *_ = keyvalue.split(text)
    if kind == "none":
        return
    if kind == "model=help" or "model=help" in keyvalue.split(text):
        raise Answer("Available NIC models:\n" + "\n".join(MODELS))
    found = parse(text, NIC_KEYS)
    values = dict(found)
    _check_model(values)
    ident = identifier(values) or f"#net{len(request.config.nics)}"
    mac = _mac(values["mac"]) if "mac" in values else None
    _add_netdev(request, build(found, ident, f"-nic {text}"))
    request.config.nics.append(NicConfig(f"-nic {text}", ident, mac))


def netdev(request: Request, text: str) -> None:
    request.network_given = True
    found = parse(text, ("id",))
    ident = identifier(dict(found))
    if not ident:
        raise UserError("Parameter 'id' is missing")
    _add_netdev(request, build(found, ident, f"-netdev {text}"))


def card(request: Request, text: str) -> None:
    """-device e1000: a card for a -netdev."""
    for key in (part.partition("=")[0] for part in keyvalue.split(text)[1:]):
        if key not in CARD_KEYS:
            raise UserError(f"Property 'e1000.{key}' not found")
    values = keyvalue.parse(text, CARD_KEYS, implied="driver")
    ident = identifier(values)
    try:
        mac = _mac(values["mac"]) if "mac" in values else None
    except UserError:
        raise UserError(f"Property 'e1000.mac' doesn't take value '{values['mac']}'") from None
    request.config.nics.append(NicConfig(f"-device {text}", values.get("netdev"), mac, ident))


def object_(request: Request, text: str) -> None:
    if text in ("help", "?"):
        raise Answer("List of user creatable objects:\n  filter-dump")
    kind = keyvalue.split(text)[0].removeprefix("qom-type=")
    if kind != "filter-dump":
        raise UserError(f"Parameter 'qom-type' does not accept value '{kind}'")
    values = keyvalue.parse(text, ("qom-type", "id", "netdev", "file", "maxlen", "queue"),
                            implied="qom-type")
    for key in ("id", "netdev", "file"):
        if not values.get(key):
            raise UserError(f"Parameter '{key}' is missing")
    queue = values.get("queue", "all")
    if queue not in ("all", "rx", "tx"):
        raise UserError(f"Parameter 'queue' does not accept value '{queue}'")
    new = DumpConfig(values["id"], values["netdev"], values["file"], f"-object {text}",
                     maxlen=keyvalue.number(values, "maxlen", DumpConfig.maxlen), queue=queue)
    if new.maxlen <= 0:
        raise UserError("Parameter 'maxlen' expects a number above 0")
    if any(other.id == new.id for other in request.config.dumps):
        raise UserError(f"Duplicate ID '{new.id}' for object")
    request.config.dumps.append(new)


def net(request: Request, text: str) -> None:
    """-net: a card, or what it is plugged into, for the hub where both meet."""
    request.network_given = True
    kind = keyvalue.split(text)[0].removeprefix("type=")
    source = f"-net {text}"
    if kind == "none":
        return
    if kind != "nic":
        _add_netdev(request, build(parse(text, ()), HUB, source))
        return
    values = keyvalue.parse(text, HUB_KEYS, implied="type")
    _check_model(values)
    mac = _mac(values["macaddr"]) if "macaddr" in values else None
    request.config.nics.append(NicConfig(source, values.get("netdev", HUB), mac))


def finish(request: Request) -> None:
    """The default card, and what only all options together show."""
    config = request.config
    if not request.network_given and not request.nodefaults:
        config.netdevs.insert(0, UserNetConfig("#net", "-nic user"))
        config.nics.insert(0, NicConfig("-nic user", netdev="#net"))
    if len(config.nics) > MAXIMUM:
        raise UserError(f"there are only {MAXIMUM} places for network cards")
    backends = {backend.id for backend in config.netdevs}
    _finish_hub(request)
    plugged: set[str] = set()
    for card in config.nics:
        if card.netdev is None:
            continue
        if card.netdev not in backends:
            raise UserError(f"{card.source}: Property '{card.model}.netdev' can't find value "
                            f"'{card.netdev}'")
        if card.netdev in plugged:
            raise UserError(f"{card.source}: Property '{card.model}.netdev' can't take value "
                            f"'{card.netdev}', it's in use")
        plugged.add(card.netdev)
    for dump in config.dumps:
        if dump.netdev not in backends:
            raise UserError(f"{dump.source}: Parameter 'netdev' expects a network backend id")


def _finish_hub(request: Request) -> None:
    """What -net has put there; one card and one back end are as good as plugged together."""
    config = request.config
    cards = [card for card in config.nics if card.netdev == HUB]
    connected = any(backend.id == HUB for backend in config.netdevs)
    if len(cards) > 1:
        raise UserError(f"{cards[1].source}: only one card can be on the hub of -net, others "
                        "take -nic or -netdev")
    if cards and not connected:
        complain("warning: hub 0 is not connected to host network")
        cards[0].netdev = None


def _check_model(values: dict[str, str]) -> None:
    model = values.get("model", MODELS[0])
    if model not in MODELS:
        raise UserError(f"Unsupported NIC model: {model}")


def identifier(values: dict[str, str]) -> str:
    """The value of `id`, "" if there is none. Raises UserError."""
    ident = values.get("id", "")
    if ident and not IDENTIFIER.fullmatch(ident):
        raise UserError("Parameter 'id' expects an identifier: letters, digits, '-', '.', '_', "
                        "starting with a letter")
    return ident


def _mac(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}", text,
                        re.IGNORECASE | re.ASCII):
        raise UserError("invalid syntax for ethernet address")
    mac = bytes(int(part, 16) for part in re.split("[:-]", text))
    if mac[0] & 1:
        raise UserError("NIC cannot have multicast MAC address")
    return mac


def _add_netdev(request: Request, new: Netdev) -> None:
    if any(other.id == new.id for other in request.config.netdevs):
        raise UserError("only one back end can be on the hub of -net" if new.id == HUB
                        else f"Duplicate ID '{new.id}' for netdev")
    request.config.netdevs.append(new)
