"""python3 more_files.py npy|npz|h5 VGG16.safetensors OUTPUT: the same weights as NumPy and h5py write them."""
import json
import sys

import h5py
import numpy as np

kind, source, output = sys.argv[1:]
with open(source, 'rb') as file:
    length = int.from_bytes(file.read(8), 'little')
    header = json.loads(file.read(length))
header.pop('__metadata__', None)
data = np.memmap(source, np.uint8, 'r', 8 + length)


def array(name):
    begin, end = header[name]['data_offsets']
    return data[begin:end].view(np.float32).reshape(header[name]['shape'])


layers = {}
for name in header:
    layer, part = name.split('.')
    layers.setdefault(layer, {})[part] = name

if kind == 'npy':
    # As vgg16.npy of the TensorFlow ports.
    np.save(output, {layer: [np.array(array(parts['weight'])), np.array(array(parts['bias']))] for layer, parts in layers.items()})
elif kind == 'npz':
    np.savez_compressed(output, **{name: array(name) for name in header})
else:
    # As Keras' weights-only files, in chunks that h5py chooses.
    names = {'fc6': 'fc1', 'fc7': 'fc2', 'fc8': 'predictions'}
    own = {layer: names.get(layer) or f'block{layer[4]}_conv{layer[6]}' for layer in layers}
    with h5py.File(output, 'w') as file:
        file.attrs['layer_names'] = [name.encode() for name in own.values()]
        for layer, parts in layers.items():
            group = file.create_group(own[layer])
            weights = {f'{own[layer]}/kernel:0': parts['weight'], f'{own[layer]}/bias:0': parts['bias']}
            group.attrs['weight_names'] = [name.encode() for name in weights]
            for name, tensor in weights.items():
                group.create_dataset(name, data=array(tensor), chunks=True, compression='gzip', compression_opts=1)
