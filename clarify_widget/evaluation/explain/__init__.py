"""Where in an image a model looks, and whether that is where it should: GradCAM, overlays, AIoU, pointing."""

from clarify_widget.evaluation.explain.alignment import (
    Alignment,
    GroupAlignment,
    adjusted_iou,
    alignment,
    iou,
    mask_of_boxes,
    points_inside,
)
from clarify_widget.evaluation.explain.gradcam import can_explain, explanation_maps, grid_maps
from clarify_widget.evaluation.explain.overlay import colours, overlay

__all__ = [
    "Alignment",
    "GroupAlignment",
    "adjusted_iou",
    "alignment",
    "can_explain",
    "colours",
    "explanation_maps",
    "grid_maps",
    "iou",
    "mask_of_boxes",
    "overlay",
    "points_inside",
]
