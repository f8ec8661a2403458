"""pyemu-trace: what is in a trace. One file a command; `main` puts them together."""
