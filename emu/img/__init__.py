"""`pyemu-img`: disk images made, shown, checked and changed, as qemu-img does it."""
