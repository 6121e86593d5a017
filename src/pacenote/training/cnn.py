"""A plain convolutional network with the interface of the vision tower: the ceiling that a tower is measured against.

Imports torch: import this module where it is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pacenote.training.tower import MEAN, STD


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class ConvEncoder(nn.Module):
    """uint8 (B, H, W, 3) -> tokens (B, H/28 * W/28, width) by residual stages of stride 2, 2, 7."""

    def __init__(self, width: int = 192, base: int = 32) -> None:
        super().__init__()
        self.width = width

        def down(a: int, b: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
            return [nn.Conv2d(a, b, kernel, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]

        self.net = nn.Sequential(
            *down(3, base, 5, 2, 2), *down(base, 2 * base, 3, 2, 1), _Residual(2 * base), _Residual(2 * base),
            *down(2 * base, width, 7, 7, 0), _Residual(width), _Residual(width), _Residual(width),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        mean, std = x.new_tensor(MEAN)[:, None, None], x.new_tensor(STD)[:, None, None]
        x = self.net(((x - mean) / std).contiguous(memory_format=torch.channels_last))
        return x.flatten(2).transpose(1, 2)
