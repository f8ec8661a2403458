"""TCP sockets that listen."""
import socket


def listen(host: str, port: int) -> socket.socket:
    """On an IPv4 address; "" is all of them. Raises OSError, whose text is the host's alone:
    Python's own function adds its arguments to it."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
