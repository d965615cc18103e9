"""Run inside a machine, by root: asks each address for a port of the host by frames of its own.

A program that asks the kernel would be stopped by the machine's own routes; whoever is root in
it is not. Prints a line for each address: how TCP and UDP answered.
"""

# ruff: noqa: PTH123, SIM115, T201 - the machine has Python's smallest set of modules, and prints to us

import socket
import struct
import sys
import time

OWN = "10.0.2.15"
GATEWAY = "10.0.2.2"
WAITS = 1.5  # seconds


def words_of(text: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(text) // 2}H", text)


def checksum(text: bytes) -> int:
    total = sum(words_of(text + b"\0" * (len(text) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source: str, target: str, protocol: int, body: bytes, checked_at: int) -> bytes:
    """An IPv4 packet; the checksum of its body goes to `checked_at`."""
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    found = checksum(ends + struct.pack("!BBH", 0, protocol, len(body)) + body)
    body = body[:checked_at] + struct.pack("!H", found) + body[checked_at + 2 :]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def gateway() -> bytes:
    """The hardware address of the gateway, after the kernel has asked for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.sendto(b"", (GATEWAY, 9))
    for _ in range(100):
        for line in open("/proc/net/arp"):
            if line.startswith(GATEWAY + " ") and "00:00:00:00:00:00" not in line:
                return bytes.fromhex(line.split()[3].replace(":", ""))
        time.sleep(0.05)
    raise SystemExit("no gateway")


def answer(wire: socket.socket, frame: bytes, port: int) -> str:
    """What comes back to a port of ours."""
    wire.setblocking(False)
    try:
        while wire.recv(65535):
            pass
    except BlockingIOError:
        pass
    wire.settimeout(WAITS)
    wire.send(frame)
    end = time.monotonic() + WAITS
    while time.monotonic() < end:
        try:
            found = wire.recv(65535)[14:]
        except OSError:
            break
        body = found[(found[0] & 15) * 4 :]
        if found[9] in (6, 17) and struct.unpack("!H", body[2:4])[0] == port:
            return "datagram" if found[9] == 17 else "connected" if body[13] & 0x12 == 0x12 else "refused"
    return "silence"


def main(port: int, targets: list[str]) -> None:
    own = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
    ethernet = gateway() + own + b"\x08\0"
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
    wire.bind(("eth0", 0))
    for number, target in enumerate(targets):
        address, _, source = target.partition("<")
        here = 40000 + 2 * number
        syn = struct.pack("!HHIIBBHHH", here, port, 1, 0, 5 << 4, 2, 65535, 0, 0)
        tcp = answer(wire, ethernet + packet(source or OWN, address, 6, syn, 16), here)
        datagram = struct.pack("!HHHH", here + 1, port, 13, 0) + b"hello"
        udp = answer(wire, ethernet + packet(source or OWN, address, 17, datagram, 6), here + 1)
        print(target, tcp, udp, flush=True)


main(int(sys.argv[1]), sys.argv[2:])
