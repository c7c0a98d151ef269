"""The backbone of several data sets."""

from benchmarks.release import backbone


def test_the_backbone_learns_from_all_sets_and_sees_no_test_image(data_root):
    data = backbone.joint_data(str(data_root))
    assert data.info.num_classes == 7 + 2 + 5 + 2
    assert data.info.channels == 3
    assert set(data.train.labels.tolist()) == set(range(16))
    assert data.test.images.equal(data.val.images)
    others = backbone.joint_data(str(data_root), ["dermamnist", "retinamnist"])
    assert others.info.num_classes == 7 + 5
