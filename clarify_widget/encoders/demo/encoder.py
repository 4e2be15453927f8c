"""The demo encoder: an open_clip model that also says which words it does not know."""

from __future__ import annotations

from functools import cached_property

from open_clip.transform import PreprocessCfg, image_transform_v2

from clarify_widget.datasets.scenes.phrases import CONCEPT_NAMES, read
from clarify_widget.encoders.demo.model import load_model, preprocess_settings, settings, tokenizer
from clarify_widget.encoders.open_clip import OpenClipEncoder


class DemoEncoder(OpenClipEncoder):
    """The bundled model.

    Parameters
    ----------
    device
        Where it runs, for example "cpu" or "cuda".
    """

    def __init__(self, *, device: str = "cpu") -> None:
        preprocess = image_transform_v2(PreprocessCfg(**preprocess_settings()), is_train=False)
        super().__init__(load_model(), preprocess, tokenizer(), name="demo", device=device, config=settings())

    @property
    def phrases(self) -> tuple[str, ...]:
        """The plainest phrase for each thing that the model can see."""
        return CONCEPT_NAMES

    @cached_property
    def threshold(self) -> float:
        """The similarity at which the loss that it was trained with takes a phrase to be as true as not."""
        bias, scale = self.model.logit_bias.item(), self.model.logit_scale.exp().item()
        return float(-bias / scale)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words that the model never learned; all of them when none names anything it can see."""
        reading = read(text)
        return reading.unknown if reading.concepts else reading.words
