"""Pictures for the tools: drawn here, or real ones from the folder that RETICULUM_CORPUS names."""

import os, random, struct, zlib

GREY, RGB, RGBA = 0, 2, 6


def png(width, height, kind, rows):
    """A PNG with 8 bits a channel; `rows` gives the bytes of one row after another. Rows are never all in memory."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(1)
    packed = b"".join([packer.compress(b"\0" + row) for row in rows] + [packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def noise(width, height, seed=1):
    """Random pixels: a row of them, turned a little from row to row. Its variants are as long as variants get."""
    row = random.Random(seed).randbytes(3 * width)

    def turned(y):
        cut = 3 * (y * 37 % width)
        return row[cut:] + row[:cut]

    return png(width, height, RGB, (turned(y) for y in range(height)))


def flat(width, height, kind=RGBA):
    """One colour: a file of some kilobytes for any number of pixels."""
    row = b"\x60\x80\xa0\xff"[: {GREY: 1, RGB: 3, RGBA: 4}[kind]] * width
    return png(width, height, kind, (row for _ in range(height)))


def photos(names, folders=("photos",)):
    """The corpus's photos of these names, or drawn ones where there is none of them. Pairs of a name and bytes."""
    corpus = os.environ.get("RETICULUM_CORPUS", "/nonexistent")
    found = []
    for name in names:
        for folder in folders:
            path = os.path.join(corpus, folder, name)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    found.append((name, file.read()))
    return found or [("drawn-2mp", noise(1600, 1200, 2)), ("drawn-1mp", noise(1200, 900, 3))]
