"""Bootable disk images for the demo and the tests, built from Debian packages without root.

`python -m pyemu.images all` leaves them in images/out. The same packages give the same bytes.
"""
