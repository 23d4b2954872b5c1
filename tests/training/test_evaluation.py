import keras
import numpy as np

from kd_bench.data.batches import evaluation_batches
from kd_bench.data.images import ImageDataset, Images
from kd_bench.training.evaluation import Evaluator


def test_each_evaluation_sees_every_image_once_and_in_order():
    # The last batch is smaller; the network says of each image which one it is.
    pixels = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    images = Images(pixels, np.array([0, 1, 2, 3, 4, 5, 0], np.int32))
    dataset = ImageDataset("numbers", images, images, 7, np.zeros(1, np.float32), np.ones(1, np.float32), 0, False)
    inputs = keras.Input((1, 1, 1))
    logits = -((keras.layers.Flatten()(inputs) - np.arange(7, dtype=np.float32)) ** 2)
    network = keras.Model(inputs, {"logits": logits})
    evaluator = Evaluator(network, evaluation_batches(images, dataset, batch_size=3), images.labels)
    for _ in range(3):
        np.testing.assert_array_equal(evaluator.logits().argmax(axis=1), np.arange(7))
    assert evaluator.accuracy() == 6 / 7
