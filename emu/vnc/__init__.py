"""The VNC server: the screen, the keyboard and the mouse for clients over a socket.

Source: RFC 6143, The Remote Framebuffer Protocol; the community's rfbproto for what came later.
"""
