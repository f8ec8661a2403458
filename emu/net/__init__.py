"""What network cards are plugged into: user networking, sockets, interfaces of the host."""
