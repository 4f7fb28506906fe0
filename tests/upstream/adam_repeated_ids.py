"""Keras on TensorFlow: a batch that repeats an embedding's id spoils Adam's second moment.

Run it on each backend:  KERAS_BACKEND=tensorflow python adam_repeated_ids.py

Expected  [-0.1 -0.1] on every backend: Adam's first step is the learning rate.
Found     [-0.1342 -0.1] on tensorflow; [-0.1 -0.1] on jax and torch.

Why: the gradient of the lookup is a tf.IndexedSlices with indices [0, 0, 1] and
values [1, 2, 1]. `ops.square(gradient)` squares the values before those of one
index are added up: row 0 gets 1² + 2² = 5 where (1 + 2)² = 9 is right, and its
step is 3/√5 = 1.342 times too long. AdamW, RMSprop, Adagrad and Nadam square too.

Proposal: add up the slices of one index before an optimiser computes with them
(tf.unique and tf.math.unsorted_segment_sum keep them sparse), or make the
gradient dense in `update_step`.
"""

import keras
import numpy as np
from keras import ops

ids, gradients = np.array([0, 0, 1]), np.array([1.0, 2.0, 1.0], "float32")
table = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
model = keras.Sequential([table, keras.layers.Reshape(())])
# The gradient of Σ gradient · row is `gradient`.
model.compile(keras.optimizers.Adam(0.1), loss=lambda g, row: ops.sum(g * row))
model.fit(ids, gradients, batch_size=3, shuffle=False, verbose=0)
print(keras.backend.backend(), table.get_weights()[0].ravel().round(4))
