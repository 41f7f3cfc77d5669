"""A proxy on 127.0.0.1 that leads every tunnel to itself: it answers CONNECT, and then, with the certificate that it is
given, as the hub. Prints its port, then a line for each request that it reads.

    python3 tunnel.py CERTIFICATE.pem KEY.pem
"""
import socket
import ssl
import sys
import threading

LISTING = b'{"sha": "c0ffee", "siblings": [{"rfilename": "config.json", "size": 2}]}'


def head(stream):
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        part = stream.recv(1)
        if not part:
            return []
        text += part
    return text.decode("latin-1").split("\r\n")


def note(lines):
    kept = [line for line in lines[1:] if line.lower().startswith(("proxy-authorization:", "authorization:"))]
    print(" | ".join(lines[:1] + kept), flush=True)


def serve(plain, context):
    lines = head(plain)
    if not lines:
        return
    note(lines)
    plain.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with context.wrap_socket(plain, server_side=True) as stream:
        lines = head(stream)
        if not lines:
            return
        note(lines)
        body = LISTING if "/api/" in lines[0] else b"{}"
        stream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], context), daemon=True).start()


main(*sys.argv[1:])
