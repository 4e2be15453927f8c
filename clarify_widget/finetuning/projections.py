"""An open_clip model, cut where its towers end and the projections into the joint space begin.

The towers stay frozen, so what they make of an image or a text is computed once; the projections are small
and are all that is trained. Nothing here changes the model that is cut: who still uses it does not notice.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from torch import nn
from torch.nn import functional

from clarify_widget.errors import EncoderError

if TYPE_CHECKING:
    from open_clip.modified_resnet import AttentionPool2d
    from torch import Tensor


class AttentionPooling(nn.Module):
    """A ResNet's attention pooling, without what its answer does not depend on.

    The pooled row is the attention of one query, the mean of all positions. Multiplied out in another order
    (the query meets the key weights before the positions do, and the value weights come after the attention)
    nothing is computed for each position but two products, some thirty times less for RN50. The key bias
    shifts all positions alike and cancels.

    Parameters
    ----------
    pooling
        That of an open_clip ModifiedResNet.
    """

    def __init__(self, pooling: AttentionPool2d) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(self, outputs: Tensor) -> Tensor:
        """Return (n, e) rows of (n, channels * height * width) outputs of the last convolution."""
        pooling = self.pooling
        width = pooling.positional_embedding.shape[1]
        heads, of_head = pooling.num_heads, width // pooling.num_heads
        positions = outputs.view(len(outputs), width, -1).transpose(1, 2)
        tokens = torch.cat([positions.mean(dim=1, keepdim=True), positions], dim=1)
        tokens = tokens + pooling.positional_embedding

        query = pooling.q_proj(tokens[:, 0]).view(-1, heads, of_head) * of_head**-0.5
        key_weight = pooling.k_proj.weight.view(heads, of_head, width)
        value_weight = pooling.v_proj.weight.view(heads, of_head, width)
        query_of_tokens = torch.einsum("nhd,hdw->nhw", query, key_weight)
        attention = (query_of_tokens @ tokens.transpose(1, 2)).softmax(dim=-1)
        attended = torch.einsum("nhw,hdw->nhd", attention @ tokens, value_weight)
        rows: Tensor = pooling.c_proj(attended.flatten(1) + pooling.v_proj.bias)
        return rows


class LinearProjection(nn.Module):
    """A projection that open_clip keeps as a bare matrix.

    Parameters
    ----------
    weight
        (width, e).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, outputs: Tensor) -> Tensor:
        """Return (n, e) rows of (n, width) outputs."""
        return outputs @ self.weight


def check_projections(model: Any) -> None:
    """Check that both towers end in a projection that can be trained, which takes no time.

    Raises
    ------
    EncoderError
        As `image_projection` and `text_projection`.
    """
    _check_image_projection(model)
    _check_text_projection(model)


def image_projection(model: Any) -> nn.Module:
    """Return a trainable copy, in single precision, of what makes rows of the image tower's outputs.

    Raises
    ------
    EncoderError
        When the tower is neither open_clip's ModifiedResNet nor its VisionTransformer with a projection.
    """
    _check_image_projection(model)
    visual = model.visual
    if isinstance(visual, ModifiedResNet):
        return AttentionPooling(copy.deepcopy(visual.attnpool).float().requires_grad_())
    return LinearProjection(visual.proj.detach().float().clone())


def text_projection(model: Any) -> nn.Module:
    """Return a trainable copy, in single precision, of what makes rows of the text tower's outputs.

    Raises
    ------
    EncoderError
        When the text tower is none of open_clip's own, or has no projection.
    """
    _check_text_projection(model)
    projection = _text_module(model).text_projection
    if isinstance(projection, nn.Linear):
        return copy.deepcopy(projection).float().requires_grad_()
    return LinearProjection(projection.detach().float().clone())


def image_tower(model: Any) -> nn.Module:
    """Return the image tower without its projection, with the same weights: (n, 3, H, W) to (n, width)."""
    visual = _shallow_copy(model.visual)
    if isinstance(visual, ModifiedResNet):
        visual.attnpool = nn.Identity()
    else:
        visual.proj = None
    return nn.Sequential(visual, nn.Flatten())


def text_outputs(model: Any, tokens: Tensor) -> Tensor:
    """Return (n, width) what the text tower makes of (n, context) tokens, before the projection."""
    tower = _with_text_projection(model, None)
    outputs: Tensor = tower.encode_text(tokens)
    return outputs


def with_projections(model: Any, image: nn.Module, text: nn.Module, log_scale: Tensor) -> Any:
    """Return the model with other projections; the towers' weights are shared, not copied.

    Where the model has a bias of its logits, it is scaled as they are: the cosine that it takes for the
    middle stays where it was.
    """
    visual = _shallow_copy(model.visual)
    if isinstance(image, AttentionPooling):
        visual.attnpool = copy.deepcopy(image.pooling).requires_grad_(requires_grad=False)
    else:
        visual.proj = _frozen(image.weight)
    projection = copy.deepcopy(text) if isinstance(text, nn.Linear) else _frozen(text.weight)
    projected = _with_text_projection(model, projection)
    projected.visual = visual
    bias = getattr(model, "logit_bias", None)
    if bias is not None:
        projected.logit_bias = _frozen(bias * (log_scale - model.logit_scale).exp())
    projected.logit_scale = _frozen(log_scale.to(model.logit_scale))
    return projected.eval()


def _with_text_projection(model: Any, projection: Any) -> Any:
    changed = _shallow_copy(model)
    tower = changed
    if _text_module(model) is not model:
        tower = changed.text = _shallow_copy(model.text)
    tower.text_projection = projection
    return changed


def _check_image_projection(model: Any) -> None:
    visual = model.visual
    projected = isinstance(visual, VisionTransformer) and visual.proj is not None
    if not (projected or isinstance(visual, ModifiedResNet)):
        raise EncoderError(
            "Fine-tuning trains the projection of a ModifiedResNet or a VisionTransformer of open_clip; this "
            f"image tower is a {type(visual).__name__} without one. Choose a model such as 'RN50/openai'."
        )


def _check_text_projection(model: Any) -> None:
    tower = _text_module(model)
    if getattr(tower, "text_projection", None) is None:
        raise EncoderError(
            f"Fine-tuning needs a text tower of open_clip with a text_projection; this one is a "
            f"{type(tower).__name__} without. Choose a model such as 'RN50/openai'."
        )


def _text_module(model: Any) -> Any:
    """Return where the text projection is: in the model itself, or in its text tower."""
    text = getattr(model, "text", None)
    return model if text is None else text


def _shallow_copy(module: Any) -> Any:
    """Return a module that shares all parameters and parts, and can be given others."""
    shared = copy.copy(module)
    shared.__dict__ = {
        **module.__dict__,
        "_parameters": dict(module._parameters),  # noqa: SLF001 - torch offers no other shallow copy
        "_modules": dict(module._modules),  # noqa: SLF001
    }
    return shared


def _frozen(weight: Any) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad=False)


def unit(rows: Tensor) -> Tensor:
    """Return rows of length one."""
    return functional.normalize(rows, dim=-1)
