"""Attacks on the readers of XML and JSON: VTP and glTF."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from attack_parts import CORNERS, REFUSED, ROWS, SQUARE, Attacks, vtp

NO_COUNT = "-1 1_0 ٤ ４ 4.0 0x4 99999999999999999999 100000000000000000 5 nan +4"


def array(name: str, form: str, inside: str, more: str = "", kind: str = "Float32") -> str:
    return f'<DataArray type="{kind}" Name="{name}" format="{form}" {more}>{inside}</DataArray>'


def packed(data: bytes, total: int | None = None) -> str:
    head = (len(data) if total is None else total).to_bytes(8, "little")
    return base64.b64encode(head + data).decode()


def vtp_attacks() -> Attacks:
    rows = np.array(CORNERS, "<f4").tobytes()
    yield "vtp_good.vtp", vtp().encode(), SQUARE
    yield "vtp_base64.vtp", vtp(array("p", "binary", packed(rows))).encode(), SQUARE
    entity = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
    yield "vtp_entities.vtp", vtp(head=entity).encode(), REFUSED
    yield "vtp_external.vtp", vtp(head="<!DOCTYPE a SYSTEM 'file:///etc/passwd'>").encode(), REFUSED
    yield (
        "vtp_parameter.vtp",
        vtp(head="<!DOCTYPE a [<!ENTITY % b SYSTEM 'x'> %b;]>").encode(),
        REFUSED,
    )
    yield "vtp_undeclared.vtp", vtp().replace("0 1 2 0", "&a; 1 2 0").encode(), REFUSED
    yield "vtp_references.vtp", vtp().replace("0 1 2 0", "&#48; &#x31; 2 0").encode(), SQUARE
    yield "vtp_nul_reference.vtp", vtp().replace("0 1 2 0", "&#0; 1 2 0").encode(), REFUSED
    yield "vtp_cdata.vtp", vtp().replace("0 1 2 0 2 3", "<![CDATA[0 1 2 0 2 3]]>").encode(), SQUARE
    yield "vtp_elements.vtp", vtp(data="<a/>" * 1_500_000).encode(), REFUSED
    many = " ".join(f'a{k}=""' for k in range(600_000))
    yield "vtp_attributes.vtp", vtp(data=f"<a {many}/>").encode(), REFUSED
    yield "vtp_deep.vtp", vtp(data="<a>" * 500_000).encode(), REFUSED
    yield "vtp_pieces.vtp", vtp(behind="<Piece/>" * 100_000).encode(), SQUARE
    pieces = vtp().replace("</Piece>", "</Piece>" + "<Piece/>" * 50_000)
    yield "vtp_many_pieces.vtp", pieces.encode(), REFUSED
    yield "vtp_comments.vtp", vtp(data="<!-- x -->" * 200_000).encode(), SQUARE
    yield "vtp_appended_text.vtp", vtp(behind="<AppendedData " * 100_000).encode(), REFUSED
    yield "vtp_appended_comment.vtp", vtp(data="<!--<AppendedData>_-->").encode(), REFUSED
    for k, word in enumerate(NO_COUNT.split()):
        for name in ("NumberOfPoints", "NumberOfPolys"):
            data = vtp().replace(f'{name}="{4 if "Points" in name else 2}"', f'{name}="{word}"')
            yield f"vtp_{name}_{k}.vtp", data.encode(), REFUSED
    for k, word in enumerate(("0", "1", "1000000000000000000", "-1", "٤")):
        one = array("q", "ascii", "1 2 3 4", f'NumberOfComponents="{word}"')
        field = f"<PointData>{one}</PointData>"
        expected = SQUARE if word in "01" else REFUSED
        yield f"vtp_components_{k}.vtp", vtp(data=field).encode(), expected
    for k, (old, new) in enumerate(
        (
            ("3 6<", "3 7<"),
            ("3 6<", "6 3<"),
            ("3 6<", "-3 6<"),
            ("3 6<", "3 99999999999999999999<"),
            ("3 6<", "3.5 6<"),
            ("3 6<", "3<"),
            ("0 1 2 0", "0 1 -2 0"),
            ("0 1 2 0", "0 1 1.5 0"),
            ("0 1 2 0", "0 1 4 0"),
            ("0 1 2 0", "0 1 1_0 0"),
            ("0 1 2 0", "0 1 4294967296 0"),
            ('Int32" Name="c', 'Float32" Name="c'),
            ('Int32" Name="o', 'Float64" Name="o'),
            ('Int32" Name="c', 'Int33" Name="c'),
            ("LittleEndian", "MiddleEndian"),
            ("UInt64", "Float64"),
            ("PolyData>", "Polydata>"),
            ("1 0 0\n", "nan 0 0\n"),
            ("1 0 0\n", "١ 0 0\n"),
        )
    ):
        yield f"vtp_changed_{k}.vtp", vtp().replace(old, new, 1).encode(), REFUSED
    for total in (0, 47, 2**31, 2**62, 2**63, 2**64 - 1):
        data = vtp(array("p", "binary", packed(rows, total))).encode()
        yield f"vtp_total_{total}.vtp", data, REFUSED
    for k, text in enumerate(("", "=", "A", "====", "!" * 100, "AAAA" * 20, "A" * 77, "é" * 100)):
        yield f"vtp_letters_{k}.vtp", vtp(array("p", "binary", text)).encode(), REFUSED
    yield from compressed_attacks(rows)
    yield from appended_attacks(rows)


def compressed_attacks(rows: bytes) -> Attacks:
    def file(blocks: int, sizes: list[int], body: bytes) -> bytes:
        head = np.array([blocks, 48, 48, *sizes], "<u8").tobytes()
        text = base64.b64encode(head).decode() + base64.b64encode(body).decode()
        data = vtp(array("p", "binary", text))
        return data.replace("<VTKFile", '<VTKFile compressor="vtkZLibDataCompressor"').encode()

    body = zlib.compress(rows)
    yield "vtp_zlib.vtp", file(1, [len(body)], body), SQUARE
    for blocks in (0, 2, 1000, 2**32, 2**63):
        yield f"vtp_blocks_{blocks}.vtp", file(blocks, [len(body)], body), REFUSED
    for size in (0, 1, len(body) - 1, len(body) + 1, 2**32, 2**64 - 1):
        yield f"vtp_block_of_{size}.vtp", file(1, [size], body), REFUSED
    bomb = zlib.compress(bytes(100_000_000), 9)
    yield "vtp_bomb.vtp", file(1, [len(bomb)], bomb), REFUSED
    small = zlib.compress(bytes(7_000_000), 9)
    yield "vtp_bombs.vtp", file(20, [len(small)] * 20, small * 20), REFUSED
    ends = zlib.compress(b"\6" * 8_000_000, 9)
    text = base64.b64encode(np.array([1, 8_000_000, 8_000_000, len(ends)], "<u8").tobytes())
    text += base64.b64encode(ends)
    long = f'<Piece NumberOfPoints="4" NumberOfPolys="8000000"><Points>{array("p", "ascii", ROWS)}'
    long += f"</Points><Polys>{array('connectivity', 'ascii', '0 1 2 0 2 3', kind='Int32')}"
    long += f"{array('offsets', 'binary', text.decode(), kind='Int8')}</Polys></Piece>"
    data = vtp().replace("</PolyData>", long * 5 + "</PolyData>")
    data = data.replace("<VTKFile", '<VTKFile compressor="vtkZLibDataCompressor"')
    yield "vtp_bytes_unfold.vtp", data.encode(), REFUSED
    yield "vtp_empty_blocks.vtp", file(50_000, [0] * 50_000, b""), REFUSED


def appended_attacks(rows: bytes) -> Attacks:
    block = len(rows).to_bytes(8, "little") + rows
    points = array("p", "appended", "", 'offset="0"')

    def file(data: bytes, *, encoding: str = "raw", fields: str = "", where: str = points) -> bytes:
        text = vtp(
            where, data=fields, behind=f'<AppendedData encoding="{encoding}">_@</AppendedData>'
        )
        return text.encode().replace(b"@", data)

    yield "vtp_raw.vtp", file(block), SQUARE
    yield "vtp_raw_text.vtp", file(block + b"</AppendedData></VTKFile><evil>"), SQUARE
    yield "vtp_raw_base64.vtp", file(packed(rows).encode(), encoding="base64"), SQUARE
    for offset in ("1", "8", "55", "100000", "99999999999999999", "-1", "0x0", "٠"):
        where = array("p", "appended", "", f'offset="{offset}"')
        yield f"vtp_offset_{offset}.vtp", file(block, where=where), REFUSED
    for n in (20, 300, 5_000):
        one = 'offset="0" NumberOfComponents="65536"'
        fields = "".join(array(f"q{k}", "appended", "", one) for k in range(n))
        big = (1 << 20).to_bytes(8, "little") + bytes(1 << 20)
        where = array("p", "ascii", ROWS)
        data = file(big, fields=f"<PointData>{fields}</PointData>", where=where)
        yield f"vtp_one_block_{n}_times.vtp", data, SQUARE if n == 20 else REFUSED
    fields = "".join(array(f"q{k}", "appended", "", 'offset="0"') for k in range(5_000))
    text = packed(rows).encode() + b"A" * 3_000_000
    fields = f"<PointData>{fields}</PointData>"
    yield "vtp_5000_in_base64.vtp", file(text, encoding="base64", fields=fields), SQUARE
