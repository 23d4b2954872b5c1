"""SRRL: Yang, Martinez, Bulat, Tzimiropoulos, "Knowledge Distillation via Softmax Regression Representation Learning".

ICLR 2021. The student's last feature map goes through a connector and the teacher's own classifier. The student's
representation is good if the teacher's classifier says the same of it as of the teacher's own.

The losses and their weights are those of the authors' code, which has the squared error of logits for the second one.
"""

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import classifier_of, connector
from kd_bench.distillers.tensors import in_float32, squared_error


class SoftmaxRegression(Distiller):
    """One stage: cross-entropy + feature_weight * squared_error of the embeddings + regression_weight * of the logits.

    Both are those of the student's last map, `post`, behind the connector: averaged over its positions, and classified
    by the teacher.
    """

    min_points = 1
    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        feature_weight: NonNegative,
        regression_weight: NonNegative,
    ) -> None:
        super().__init__(student, teacher)
        self.feature_weight = feature_weight
        self.regression_weight = regression_weight
        self.classifier = classifier_of(teacher)
        self.connector = connector(student.output["post"][-1], teacher.output["embedding"], ending="relu")
        self.trained = [self.connector]

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted sum of the two errors."""
        features = self.connector(batch.student["post"][-1], training=True)
        embedding = tf.reduce_mean(in_float32(features), axis=[1, 2])
        logits = self.classifier(embedding, training=False)
        feature_error = self.feature_weight * squared_error("SRRL", embedding, batch.teacher["embedding"])
        return feature_error + self.regression_weight * squared_error("SRRL", logits, batch.teacher["logits"])
