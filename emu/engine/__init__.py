"""The CPU: Unicorn's translation core made into the processor of a PC.

The only package that imports unicorn. It knows nothing of PCs.
"""
