"""Writes fixtures/pytorch.json: what PyTorch makes of the weights inside the package (pip install torch). Usage: make_pytorch.py

Reads nets/compact/compact.safetensors, runs it in float64 on a ramp picture (pixel (y, x, c) is 7y + 3x + 50c, modulo 256), and writes the
mean and the largest value of some layers and the ten scores.
"""
import json, os, struct
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = {'F16': torch.float16, 'F32': torch.float32}

with open(os.path.join(HERE, '../../nets/compact/compact.safetensors'), 'rb') as file:
    (length,) = struct.unpack('<Q', file.read(8))
    header = json.loads(file.read(length))
    body = bytearray(file.read())
about = header.pop('__metadata__')
plan, prepared = json.loads(about['vgg.plan']), json.loads(about['vgg.preprocessing'])


def tensor(name):
    entry = header[name]
    begin, end = entry['data_offsets']
    return torch.frombuffer(body[begin:end], dtype=DTYPES[entry['dtype']]).reshape(entry['shape']).double()


y, x, c = torch.meshgrid(torch.arange(32), torch.arange(32), torch.arange(3), indexing='ij')
pixels = ((7 * y + 3 * x + 50 * c) % 256).double()
values = (pixels * prepared['scale'] - torch.tensor(prepared['mean']).double()) / torch.tensor(prepared['std']).double()
values = values.permute(2, 0, 1)[None]
layers = {}
for b, block in enumerate(plan['blocks'], 1):
    for i in range(1, len(block) + 1):
        name = f'{b}_{i}'
        values = F.conv2d(values, tensor(f'conv{name}.weight').permute(3, 2, 0, 1), tensor(f'conv{name}.bias'), padding=1)
        norm = [tensor(f'bn{name}.{part}') for part in ('mean', 'variance', 'scale', 'offset')]
        values = F.relu(F.batch_norm(values, *norm, training=False, eps=plan['epsilon']))
        layers[f'relu{name}'] = [values.mean().item(), values.max().item()]
    values = F.max_pool2d(values, 2)
scores = values.mean((2, 3)) @ tensor('fc6.weight') + tensor('fc6.bias')

with open(os.path.join(HERE, 'fixtures/pytorch.json'), 'w') as file:
    json.dump({'torch': torch.__version__, 'layers': layers, 'scores': scores[0].tolist()}, file, indent=1)
    file.write('\n')
