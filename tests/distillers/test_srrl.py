import pytest
from helpers.methods import batch_of, build


@pytest.mark.parametrize(("feature", "regression"), [(1.0, 1.0), (2.0, 0.0), (0.0, 3.0)])
def test_the_term_compares_what_the_teachers_classifier_sees_and_says(feature, regression):
    overrides = [f"method.feature_weight={feature}", f"method.regression_weight={regression}"]
    distiller = build("srrl", overrides)
    batch = batch_of(distiller)
    maps = distiller.connector(batch.student["post"][-1], training=True).numpy()
    embedding, teacher = maps.mean(axis=(1, 2)), batch.teacher
    kernel, bias = distiller.teacher.get_layer("logits").get_weights()
    of_features = ((embedding - teacher["embedding"].numpy()) ** 2).mean()
    of_logits = ((embedding @ kernel + bias - teacher["logits"].numpy()) ** 2).mean()
    expected = feature * of_features + regression * of_logits
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-4)
    assert maps.min() == 0  # the teacher's classifier knows no negative features
