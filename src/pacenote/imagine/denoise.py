"""The loss that a painter learns by, as one module for `training.loop.fit`. Imports torch: import it where it is used.

A UNet predicts the noise (or the velocity) of noisy latents (Ho et al. 2020, arXiv:2006.11239), each step weighted by
min(SNR, gamma) / SNR (Hang et al. 2023, arXiv:2303.09556, section 3.4; for velocities by SNR + 1 instead of SNR).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


class Denoiser(nn.Module):
    """`forward(...)` is the loss of a batch. What learns is averaged over the steps in buffers (`ema` > 0), which
    travel with the checkpoints. `text_encoder`: a CLIP text model that learns along; batches then bring token ids."""

    def __init__(
        self, unet: nn.Module, schedule: Any, snr_gamma: float = 5.0, ema: float = 0.0, text_encoder: Any = None
    ) -> None:
        super().__init__()
        self.unet, self.schedule, self.snr_gamma, self.ema = unet, schedule, snr_gamma, ema
        self.text_encoder = text_encoder
        for name, parameter in self._learning() if ema else ():
            self.register_buffer(_buffer(name), parameter.detach().clone().float())

    def forward(
        self,
        latents: Tensor,
        noise: Tensor,
        timesteps: Tensor,
        text: Tensor,
        pooled: Tensor | None = None,
        time_ids: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """latents, noise (n, c, h, w); timesteps (n,); text (n, tokens, width), or ids (n, tokens) for a text encoder;
        `weight` (n, h, w) of the places of each picture, of which only how they compare counts.

        Of SDXL and Kolors also pooled (n, width) and time_ids (n, 6): height, width of the source, crop, height, width
        of the picture.
        """
        on_cpu = latents.device.type == "cpu"  # where convolutions in bfloat16 are slower than in float32
        with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
            return {"loss": self._loss(latents, noise, timesteps, text, pooled, time_ids, weight)}

    def _loss(
        self,
        latents: Tensor,
        noise: Tensor,
        timesteps: Tensor,
        text: Tensor,
        pooled: Tensor | None,
        time_ids: Tensor | None,
        weight: Tensor | None,
    ) -> Tensor:
        if self.text_encoder is not None:
            text = self.text_encoder(text)[0]
        added = None if pooled is None else {"text_embeds": pooled, "time_ids": time_ids}
        noisy = self.schedule.add_noise(latents, noise, timesteps)
        told = self.unet(noisy, timesteps, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)[0]
        velocity = self.schedule.config.prediction_type == "v_prediction"
        wanted = self.schedule.get_velocity(latents, noise, timesteps) if velocity else noise
        error = (told.float() - wanted.float()).pow(2).mean(dim=1)
        if weight is not None:
            error = error * weight / weight.mean(dim=(1, 2), keepdim=True)
        error = error.mean(dim=(1, 2))
        return (error * self._weight(timesteps, velocity)).mean()

    def _weight(self, timesteps: Tensor, velocity: bool) -> Tensor:
        from diffusers.training_utils import compute_snr

        snr = compute_snr(self.schedule, timesteps)
        if not self.snr_gamma:
            return torch.ones_like(snr)
        if velocity:
            return snr.clamp(max=self.snr_gamma) / (snr + 1)
        return (self.snr_gamma / snr).clamp(max=1)

    def _learning(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.named_parameters() if p.requires_grad]

    @contextmanager
    def averaging(self) -> Iterator[None]:
        """Within, each step of an optimizer of these parameters moves the average, too."""
        if not self.ema:
            yield
            return
        from torch.optim.optimizer import register_optimizer_step_post_hook

        mine = {id(parameter) for _, parameter in self._learning()}

        def follow(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            if any(id(p) in mine for group in optimizer.param_groups for p in group["params"]):
                self._follow()

        handle = register_optimizer_step_post_hook(follow)
        try:
            yield
        finally:
            handle.remove()

    def _follow(self) -> None:
        with torch.no_grad():
            for name, parameter in self._learning():
                self.get_buffer(_buffer(name)).lerp_(parameter.detach().float(), 1 - self.ema)

    def take_average(self) -> None:
        """Put the averages in the place of what learnt."""
        with torch.no_grad():
            for name, parameter in self._learning() if self.ema else ():
                parameter.copy_(self.get_buffer(_buffer(name)))


def _buffer(name: str) -> str:
    return "average_" + name.replace(".", "/")


def latents_of(vae: Any, pixels: Tensor) -> Tensor:
    """(n, c, h, w) of `pixels` (n, 3, H, W) in -1..1, unscaled: the mean of what an AutoencoderKL gives (a draw differs
    by less than what a training step adds), what an AutoencoderTiny gives."""
    found = vae.encode(pixels)
    return found.latents if hasattr(found, "latents") else found.latent_dist.mean


class Reconstruction(nn.Module):
    """The loss of an autoencoder: weighted L1 of pixels, of their differences to the next ones (a blurred picture lacks
    edges) and of colours, and `size` times the square of the latents, which keeps them around 0.

    A street is nearly grey, and a lamp is told by its colour alone: so colours count `colour` times, and where the
    picture is vivid up to 1 + `vivid` times as much again.
    """

    def __init__(self, vae: Any, size: float = 1e-3, colour: float = 2.0, vivid: float = 10.0) -> None:
        super().__init__()
        self.vae, self.size, self.colour, self.vivid = vae, size, colour, vivid

    def forward(self, pixels: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """pixels (n, 3, h, w) in -1..1, weight (n, 1, h, w)."""
        latents = latents_of(self.vae, pixels)
        away = self.vae.decode(latents).sample.float() - pixels
        across, down = away[..., 1:] - away[..., :-1], away[..., 1:, :] - away[..., :-1, :]
        edges = (across.abs() * weight[..., 1:]).mean() + (down.abs() * weight[..., 1:, :]).mean()
        vivid = 1 + self.vivid * _opponents(pixels).abs().sum(1, keepdim=True)
        colours = (_opponents(away).abs() * weight * vivid).mean()
        loss = (away.abs() * weight).mean() + edges + self.colour * colours
        return {"loss": loss / weight.mean() + self.size * latents.float().pow(2).mean()}


def _opponents(pixels: Tensor) -> Tensor:
    """(n, 2, h, w) red against green and blue against both, of `pixels` (n, 3, h, w)."""
    red, green, blue = pixels.unbind(1)
    return torch.stack([red - green, blue - (red + green) / 2], dim=1)
