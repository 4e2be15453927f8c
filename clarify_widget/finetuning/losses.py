"""The losses of spurious-aware fine-tuning, as functions of unit rows.

Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023), section
3. One construct, CS, makes four of the five: it pulls the rows of a group together and pushes those of other
groups away. L_vc and L_lc give it images and prompts with their classes, L_vs images with their groups, L_ls
the prompts of classes and of attributes, told apart by the attribute that they name.

The functions called `released_...` are what the authors' published code computes instead: cosines without a
softmax and without a temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def clip_loss(images: Tensor, texts: Tensor, temperature: Tensor | float) -> Tensor:
    """Return L_CLIP: each image finds its text in the batch, and each text its image.

    Parameters
    ----------
    images, texts
        (n, e) unit rows; text i belongs to image i. Another text of the same class counts as a wrong one, as
        in the paper.
    temperature
        Tau, what cosines are divided by.

    Notes
    -----
    Yang et al. (2023), Eq. 1.
    """
    logits = images @ texts.T / temperature
    own = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def cross_group_similarity(
    rows: Tensor, groups: Tensor, temperature: Tensor | float, kinds: Tensor | None = None
) -> Tensor:
    """Return CS: how little the rows are like those of their own group, beside all others.

    For every row i and every other row p of its group, minus the logarithm of e^(<i, p>/tau) over the sum of
    e^(<i, j>/tau) over the other rows j of its group and those of other kinds. It is averaged over p and then
    over the rows that have such a p; without any it is 0. A row is not compared with itself: that says
    nothing of how rows differ, and at a small temperature it would outweigh all else.

    Parameters
    ----------
    rows
        (n, e) unit rows.
    groups
        (n,) whole numbers; for L_vc and L_lc classes, for L_vs and L_ls groups.
    temperature
        Tau, what cosines are divided by.
    kinds
        (n,) whole numbers, the same within a group; by default every group is a kind of its own.

    Notes
    -----
    Yang et al. (2023), section 3, with both modalities the same, as in Eq. 2-5.
    """
    kinds = groups if kinds is None else kinds
    same = groups[:, None] == groups
    same.fill_diagonal_(False)
    compared = same | (kinds[:, None] != kinds)
    paired = same.any(dim=1)
    if not paired.any():
        return rows.sum() * 0
    similarities = rows[paired] @ rows.T / temperature
    totals = similarities.masked_fill(~compared[paired], -torch.inf).logsumexp(dim=1, keepdim=True)
    positives = same[paired]
    of_pairs = (totals - similarities).masked_fill(~positives, 0)
    return (of_pairs.sum(dim=1) / positives.sum(dim=1)).mean()


def spurious_language(
    class_prompts: Tensor, attribute_prompts: Tensor, temperature: Tensor | float
) -> Tensor:
    """Return L_ls: how little prompts are like those of their class or attribute, beside other attributes'.

    The groups are each class and each attribute. What a prompt is set apart from has "a different spurious
    attribute", or one where it has none: a class's own prompts have none, so they are set apart from the
    attributes' and not from those of other classes, which is what L_lc does.

    Parameters
    ----------
    class_prompts, attribute_prompts
        (T, C, e) and (T, A, e) unit rows, one for each template and name.
    temperature
        Tau, what cosines are divided by.

    Notes
    -----
    Yang et al. (2023), Eq. 5.
    """
    templates, classes, _ = class_prompts.shape
    rows = torch.cat([class_prompts, attribute_prompts], dim=1)
    groups = torch.arange(rows.shape[1], device=rows.device).repeat(templates)
    without_attribute = -1
    attributes = torch.where(groups < classes, without_attribute, groups)
    return cross_group_similarity(rows.flatten(0, 1), groups, temperature, kinds=attributes)


def released_group_contrast(rows: Tensor, groups: Tensor) -> Tensor:
    """Return the mean cosine between rows of different groups minus that within groups.

    Both are sums over all n * n pairs, a row with itself included, over n * n.

    Parameters
    ----------
    rows
        (n, e) unit rows.
    groups
        (n,) whole numbers.

    Notes
    -----
    L_vc and L_lc of the code published with Yang et al. (2023).
    """
    signs = torch.where(groups[:, None] == groups, -1.0, 1.0).to(rows)
    return (signs * (rows @ rows.T)).mean()


def released_spurious_language(class_prompts: Tensor, attribute_prompts: Tensor) -> Tensor:
    """Return the mean absolute cosine between prompts of classes (p, e) and of attributes (q, e), unit rows.

    Notes
    -----
    L_ls of the code published with Yang et al. (2023).
    """
    return (class_prompts @ attribute_prompts.T).abs().mean()


def released_spurious_image(
    images: Tensor, attribute_prototypes: Tensor, attributes: Tensor, temperature: Tensor | float
) -> Tensor:
    """Return the cross-entropy of finding the attribute that an image shows.

    Parameters
    ----------
    images
        (n, e) unit rows.
    attribute_prototypes
        (A, e) unit rows, one an attribute.
    attributes
        (n,) which attribute each image shows, 0..A-1; -1 for none, and such an image does not count.
    temperature
        Tau, what cosines are divided by.

    Notes
    -----
    L_vs of the code published with Yang et al. (2023).
    """
    shown = attributes >= 0
    if not shown.any():
        return images.sum() * 0
    logits = images[shown] @ attribute_prototypes.T / temperature
    return functional.cross_entropy(logits, attributes[shown])
