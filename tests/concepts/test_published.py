"""The paper's phrases, and the classes of ImageNet that they are about."""

from __future__ import annotations

from open_clip import IMAGENET_CLASSNAMES

from clarify_widget.concepts.published import IMAGENET_FEATURES, USER_PHRASES, imagenet_features
from clarify_widget.datasets import imagenet_classes


def test_there_are_31_features_of_as_many_classes():
    assert len({feature.index for feature in IMAGENET_FEATURES}) == 31
    assert imagenet_features([one.name for one in imagenet_classes()]) == IMAGENET_FEATURES


def test_every_feature_is_of_the_class_that_the_paper_names():
    same = {"bath tub": "bathtub", "ear": "corn cob", "projectile": "missile"}
    for feature in IMAGENET_FEATURES:
        words = set(IMAGENET_CLASSNAMES[feature.index].casefold().split())
        assert words & set(same.get(feature.class_name, feature.class_name).split()), feature


def test_features_are_chosen_by_what_the_data_set_calls_its_classes():
    chosen = imagenet_features(["tench", "corn cob", "projectile"])
    assert [(one.class_name, one.phrase) for one in chosen] == [
        ("projectile", "rocket in a building"),
        ("ear", "green"),
    ]


def test_users_phrases_are_repeated_as_printed():
    assert {name: len(users.best_worst_group) for name, users in USER_PHRASES.items()} == {
        "Waterbirds": 27,
        "CelebA": 26,
    }
    assert [users.expert[0] for users in USER_PHRASES.values()] == ["forest", "man"]
