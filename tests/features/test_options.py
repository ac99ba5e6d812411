import pytest

from lightly_marlin.features import ExtractionOptions


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"sample_rate": 0}, r"sample_rate \(0\)"),
        ({"stride": -1}, r"stride \(-1\)"),
        ({"stride": True}, r"stride \(True\)"),
        ({"min_face": 2.5}, r"min_face \(2\.5\)"),
        ({"reduction": "sum"}, "Supported values are none, mean, max"),
        ({"dtype": "int8"}, r"dtype \('int8'\). Supported values are float32, float16"),
        ({"pool_tokens": 0, "keep_seq": True}, r"pool_tokens \(0\)"),
        ({"pool_tokens": 2}, r"pool_tokens \(2\): .* only with keep_seq"),
        ({"detector": "dog"}, "Supported values are hog, cnn, auto"),
        ({"all_faces": True}, r"all_faces \(True\): .* only with crop_face"),
        ({"align_eyes": True}, r"align_eyes \(True\): .* only with crop_face"),
    ],
)
def test_bad_options_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        ExtractionOptions(**option)
