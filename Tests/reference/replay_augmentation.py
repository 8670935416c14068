"""The augmentation of a traced run in PyTorch, one image after another: see replay_trace.py."""

import numpy
import torch
import torch.nn.functional as F

from replay_moves import value_at

# The numbers of U(0, 1) that an image has been given, in the trace's order: whether, and how much.
DRAWS = ("flip", "side", "brightness", "light", "saturation", "saturation_factor", "contrast", "contrast_factor",
         "translation", "row_shift", "column_shift", "cutout", "cut_row", "cut_column")


class Augmentation:
    """`settings` of the configuration, of images with values in `low` … `high`."""

    def __init__(self, settings, low, high):
        self.policy, self.settings = settings["policy"], settings
        self.half, self.middle = (high - low) / 2, (low + high) / 2
        self.adaptive = settings.get("adaptive")
        self.p, self.signs, self.judged = numpy.float32(0), 0, 0

    def probability(self, progress):
        return float(self.p) if self.adaptive else value_at(self.settings["probability"], progress)

    def saw(self, logits):
        """The logits of real examples in an update of the discriminator."""
        self.signs, self.judged = self.signs + logits.sign().sum().item(), self.judged + len(logits)

    def follow(self, steps, packing):
        """After so many steps."""
        if self.adaptive and steps % self.adaptive["every"] == 0:
            change = self.judged * packing / self.adaptive["over"]
            direction = numpy.sign(self.signs / self.judged - self.adaptive["target"])
            self.p = numpy.float32(numpy.clip(float(self.p) + direction * change, 0, 1))
            self.signs = self.judged = 0

    def __call__(self, images, draws, probability):
        return torch.stack([self.one(image, dict(zip(DRAWS, values, strict=True)), probability)
                            for image, values in zip(images, draws, strict=True)])

    def one(self, image, drawn, probability):
        """`image` as [H, W, C], which it stays."""
        def happens(name):
            return name in self.policy and drawn[name] < probability

        height, width, _ = image.shape
        if happens("flip") and drawn["side"] < 0.5:
            image = image.flip(1)
        if happens("brightness"):
            image = image + self.half * (drawn["light"] - 0.5)
        if happens("saturation"):
            grey = image.mean(2, keepdim=True)
            image = grey + 2 * drawn["saturation_factor"] * (image - grey)
        if happens("contrast"):
            image = image.mean() + (0.5 + drawn["contrast_factor"]) * (image - image.mean())
        if happens("translation"):
            down, right = int(height / 8 + 0.5), int(width / 8 + 0.5)
            around = F.pad(image, (0, 0, right, right, down, down), value=self.middle)
            top, left = (2 * most - int(drawn[name] * (2 * most + 1))
                         for name, most in (("row_shift", down), ("column_shift", right)))
            image = around[top:top + height, left:left + width]
        if happens("cutout"):
            rows, columns = (self.cut(size, drawn[name]) for name, size in (("cut_row", height), ("cut_column", width)))
            image = torch.where((rows[:, None] & columns)[..., None], self.middle, image)
        return image

    @staticmethod
    def cut(size, number):
        """Which of a side's places are cut, around a centre that may be any of them."""
        length = int(size / 2 + 0.5)
        first = int(number * (size + 1 - length % 2)) - length // 2
        places = torch.arange(size)
        return (places >= first) & (places < first + length)
