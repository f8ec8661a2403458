"""Character devices: what serial ports and monitors are connected to on the host."""
