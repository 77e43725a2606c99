"""Writes the TFRecord fixtures with TensorFlow. Usage: make_tfrecord.py OUT
Record i of the three files is the same Example; `edges` has numbers and lists at the ends of their ranges."""
import os, sys
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow as tf

out = sys.argv[1]
Feature, Features, Example = tf.train.Feature, tf.train.Features, tf.train.Example


def ints(*values):
    return Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values):
    return Feature(float_list=tf.train.FloatList(value=values))


def texts(*values):
    return Feature(bytes_list=tf.train.BytesList(value=values))


def example(i):
    pixels = bytes((37 * k + i) % 256 for k in range(2 * 2 * 3))
    return {'label': ints(i % 2), 'data': texts(pixels)}


edges = {'least': ints(-2**63, -1), 'most': ints(2**63 - 1, 2**53), 'none': ints(), 'floats': floats(0.5, -1.25, 3e38), 'texts': texts(b'', b'\xff\x00', 'é'.encode())}


def write(name, compression, examples):
    with tf.io.TFRecordWriter(f'{out}/{name}', tf.io.TFRecordOptions(compression_type=compression)) as writer:
        for features in examples:
            writer.write(Example(features=Features(feature=features)).SerializeToString(deterministic=True))


for name, compression in [('plain', ''), ('gzip', 'GZIP'), ('zlib', 'ZLIB')]:
    write(f'{name}.tfrecord', compression, [example(i) for i in range(4)])
write('edges.tfrecord', '', [edges])
