"""What a compressed-tensors checkpoint holds, read without that library (loading whole ones: tests/quantize)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from pacenote.errors import InputError
from pacenote.models import packed


def test_words_unpack_as_compressed_tensors_packs_them() -> None:
    pack = pytest.importorskip("compressed_tensors.compressors.pack_quantized.helpers").pack_to_int32
    values = torch.randint(0, 16, (20, 96), dtype=torch.uint8)
    signed = (values.to(torch.int16) - 8).to(torch.int8)
    assert torch.equal(packed.unpack(pack(signed, 4), 96), values)
    assert torch.equal(packed.unpack(pack(signed, 4, packed_dim=0), 20, 0), values)


def test_an_unknown_quantization_is_named() -> None:
    with pytest.raises(InputError, match="unknown quantization 'squeeze'"):
        packed.takes(SimpleNamespace(quantization_config={"quant_method": "squeeze"}), "here")
    assert not packed.takes(SimpleNamespace(), "here")
