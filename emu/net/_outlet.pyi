SEND_PACKET: int
CLOCK_GET_NS: int

class Outlet:
    now: int
    def take(self) -> list[bytes]: ...
