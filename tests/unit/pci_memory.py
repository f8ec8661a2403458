"""A memory map for the tests of the PCI bus."""


class Memory:
    """Records what is mapped; refuses overlap, and everything below `ram`."""

    def __init__(self, ram=0x1000_0000):
        self.ram = ram
        self.regions = {}

    def map(self, base, size, name):
        if base < self.ram or any(base < b + s and b < base + size
                                  for b, s in self.regions.values()):
            raise ValueError("taken")
        self.regions[name] = base, size
        return name

    def map_mmio(self, base, size, device, name):
        return self.map(base, size, name)

    def map_ram(self, base, buffer, name):
        return self.map(base, len(buffer), name)

    map_rom = map_ram

    def unmap(self, region):
        del self.regions[region]
