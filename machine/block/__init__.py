"""Disk images: `open.open_image` gives a controller its `Backend`. Knows nothing of controllers."""
