"""PNG and JPEG files that are damaged, or something else with such a name."""

import struct
import zlib

from damage import HTML, case

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data=b"", length=None, checksum=None):
    code = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", code)


def header(width=16, height=16, bits=8, colours=2, compression=0, filtering=0, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, compression, filtering, interlace))


def pixels(bytes_a_row=48, rows=16, filtering=0, value=b"\x55"):
    return chunk(b"IDAT", zlib.compress((bytes([filtering]) + value * bytes_a_row) * rows))


END = chunk(b"IEND")


def png(*chunks):
    return SIGNATURE + b"".join(chunks)


GOOD_PNG = png(header(), pixels(), END)
ELSEWHERE = [
    ("GIF", b"GIF89a" + bytes(100), "is a GIF"),
    ("WebP", b"RIFF\x64\0\0\0WEBPVP8 " + bytes(100), "is a WebP picture"),
    ("BMP", b"BM" + bytes(100), "is a BMP picture"),
    ("TIFF", b"II*\0" + bytes(100), "is a TIFF picture"),
    ("big-endian TIFF", b"MM\0*" + bytes(100), "is a TIFF picture"),
    ("HEIC", b"\0\0\0\x18ftypheic" + bytes(100), "is a HEIC or AVIF picture"),
    ("a film", b"\0\0\0\x18ftypisom" + bytes(100), "or a video"),
    ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg' width='16' height='16'/>", "is no picture"),
    ("PDF", b"%PDF-1.7\n" + bytes(100), "is no picture"),
    ("a web page", HTML, "is no picture"),
    ("weights", struct.pack("<Q", 2) + b"{}" + bytes(100), "is no picture"),
    ("JPEG XL", b"\xff\x0a" + bytes(100), "is a JPEG XL picture"),
    ("JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "is a JPEG 2000 picture"),
    ("one byte", b"\x89", "is no picture"),
    ("empty", b"", "is no picture"),
]


def pictures_elsewhere():
    return [case(label, data, says, "expected PNG or JPEG") for label, data, says in ELSEWHERE]


def png_cases():
    grey = header(colours=0), pixels(16)
    palette = chunk(b"PLTE", bytes(range(48)))
    cannot = "cannot read PNG"
    return [
        case("header alone", png(header()), cannot),
        case("no header", png(pixels(), END), cannot),
        case("two headers", png(header(), header(), pixels(), END), cannot),
        case("pixels before the header", png(pixels(), header(), END), cannot),
        case("signature alone", SIGNATURE, cannot),
        case("a signature with Unix line ends", GOOD_PNG.replace(b"\r\n", b"\n", 1), "is no picture"),
        case("no pixels", png(header(), END), cannot),
        case("no end", png(header(), pixels()), cannot),
        case("cut in the pixels", GOOD_PNG[:60], cannot),
        case("cut in a checksum", GOOD_PNG[:-2], cannot),
        case("a header's checksum", GOOD_PNG[:29] + bytes(4) + GOOD_PNG[33:], cannot, "IHDR"),
        case("pixels' checksum", png(header(), pixels()[:-4] + bytes(4), END), cannot, "IDAT"),
        case("a chunk of 2 GB", png(header(), chunk(b"IDAT", b"", 0x7FFFFFFF), END), cannot, "2147483647"),
        case("a chunk of 4 GB", png(header(), chunk(b"IDAT", b"", 0xFFFFFFFF), END), cannot),
        case("a critical chunk that is not known", png(header(), chunk(b"HDRX"), pixels(), END), cannot, "HDRX"),
        case("a chunk whose name is no text", png(header(), chunk(b"\0\1\2\3"), pixels(), END), cannot),
        case("width 0", png(header(width=0), pixels(), END), cannot),
        case("height 0", png(header(height=0), pixels(), END), cannot),
        case("width beyond the format", png(header(width=0xFFFFFFFF), pixels(), END), cannot),
        case("larger than any video", png(header(width=100000), pixels(300000, 1), END), ""),
        case("a million rows", png(header(height=1000000), pixels(), END), ""),
        case("3 bits", png(header(bits=3), pixels(), END), cannot),
        case("a kind of colour that is not there", png(header(colours=5), pixels(), END), cannot),
        case("another compression", png(header(compression=1), pixels(), END), cannot),
        case("another filter method", png(header(filtering=1), pixels(), END), cannot),
        case("another interlace", png(header(interlace=2), pixels(), END), cannot),
        case("a filter that is not there", png(header(), pixels(filtering=9), END), cannot),
        case("too few rows", png(header(), pixels(rows=8), END), cannot),
        case("pixels that are not compressed", png(header(), chunk(b"IDAT", b"\x55" * 100), END), cannot),
        case("compressed pixels cut off", png(header(), chunk(b"IDAT", zlib.compress(bytes(784))[:-8]), END), cannot),
        case("a palette's picture without it", png(header(colours=3), pixels(16), END), cannot),
        case("a palette of half a colour", png(header(colours=3), chunk(b"PLTE", bytes(4)), pixels(16), END), cannot),
        case("transparent pixels", png(header(colours=6), pixels(64), END), "transparent"),
        case("transparent grey", png(header(colours=4), pixels(32), END), "transparent"),
        case("a transparent palette", png(header(colours=3), palette, chunk(b"tRNS", bytes(16)), pixels(16, value=b"\0"), END), "transparent"),
        case("a transparent colour", png(header(), chunk(b"tRNS", b"\0\x55" * 3), pixels(), END), "transparent"),
        case("a transparent shade of grey", png(grey[0], chunk(b"tRNS", b"\0\x55"), grey[1], END), "transparent"),
        case("Apple's variant", png(chunk(b"CgBI", bytes(4)), header(), pixels(), END), cannot),
    ]  # fmt: skip


def segments(jpeg):
    """[(marker, its bytes with marker and length)], the last with the picture's data."""
    found, at = [(0xD8, jpeg[:2])], 2
    while True:
        marker, length = jpeg[at + 1], struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if marker == 0xDA:
            return found + [(marker, jpeg[at:])]
        found.append((marker, jpeg[at : at + 2 + length]))
        at += 2 + length


def jpeg_cases(good):
    parts = segments(good)
    damaged, cannot = "a damaged JPEG", "cannot read JPEG"

    def changed(marker, change):
        return b"".join(change(data) if kind == marker else data for kind, data in parts)

    def without(marker):
        return changed(marker, lambda data: b"")

    def frame(at, value):
        """Bytes of the frame header: 4 bits, 5-6 height, 7-8 width, 9 components, then (id, sampling, table) each."""
        return changed(0xC0, lambda data: data[:at] + value + data[at + len(value) :])

    def marker(value):
        return changed(0xC0, lambda data: b"\xff" + bytes([value]) + data[2:])

    def scan(change):
        length = struct.unpack(">H", parts[-1][1][2:4])[0] + 2
        return changed(0xDA, lambda data: data[:length] + change(data[length:]))

    def components(count):
        entries = b"".join(bytes([i + 1, 0x11, 0]) for i in range(count))
        sof = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 3 * count, 8, 16, 16, count) + entries
        return changed(0xC0, lambda data: sof)

    return [
        case("start alone", good[:2] + b"\xff", ""),
        case("cut in the first segment", good[:12], cannot),
        case("cut before the frame", b"".join(data for kind, data in parts if kind < 0xC0 or kind in (0xD8, 0xE0)), cannot),
        case("cut in the data", good[: len(good) * 3 // 4], damaged),
        case("cut in the scan's header", b"".join(data for _, data in parts[:-1]) + parts[-1][1][:6], ""),
        case("no end", good[:-2], damaged),
        case("no frame", without(0xC0), cannot),
        case("no scan", without(0xDA) + b"\xff\xd9", cannot),
        case("no quantization tables", without(0xDB), cannot),
        case("two frames", changed(0xC0, lambda data: data + data), cannot),
        case("two starts", good[:2] + good, cannot),
        case("width 0", frame(7, b"\0\0"), cannot),
        case("height 0", frame(5, b"\0\0"), cannot),
        case("65500 a side", frame(5, b"\xff\xdc\xff\xdc"), "65500x65500"),
        case("wider than its data", frame(7, b"\x0f\x00"), damaged),
        case("12 bits", frame(4, b"\x0c"), cannot),
        case("no components", components(0), cannot),
        case("two components", components(2), cannot),
        case("five components", components(5), cannot),
        case("eleven components", components(11), cannot),
        case("a sampling of 0", frame(11, b"\0"), cannot),
        case("a sampling of 15", frame(11, b"\xff"), cannot),
        case("a table that is not there", frame(12, b"\x03"), cannot),
        case("a component that is not there", changed(0xDA, lambda data: data[:5] + b"\x77" + data[6:]), cannot),
        case("lossless", marker(0xC3), cannot),
        case("hierarchical", marker(0xC5), cannot),
        case("lossless with arithmetic coding", marker(0xCB), cannot),
        case("JPEG-LS", marker(0xF7), cannot),
        case("progressive in name only", marker(0xC2), ""),
        case("arithmetic coding in name only", marker(0xC9), ""),
        case("a frame of the wrong length", frame(2, b"\0\x0a"), cannot),
        case("a segment of length 1", changed(0xC4, lambda data: data[:2] + b"\0\1" + data[4:]), ""),
        case("a segment beyond the file", changed(0xC4, lambda data: data[:2] + b"\xff\xff" + data[4:]), ""),
        case("Huffman codes of 255 a length", changed(0xC4, lambda data: data[:5] + b"\xff" * 16 + data[21:]), cannot),
        case("a Huffman table of number 7", changed(0xC4, lambda data: data[:4] + b"\x07" + data[5:]), cannot),
        case("zeros as data", scan(lambda data: bytes(len(data) // 2)), damaged),
        case("noise as data", scan(lambda data: bytes((i * 197 + i * i * 31) % 255 for i in range(len(data))) + b"\xff\xd9"), damaged),
        case("restarts in the data", scan(lambda data: data[:40] + b"\xff\xd3" + data[40:]), damaged),
        case("CMYK", components(4), "CMYK"),
    ]  # fmt: skip
