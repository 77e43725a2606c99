"""Writes fixtures/torch.json: steps of PyTorch's optimisers and rates of its schedules (pip install torch). Usage: make_torch.py OUT.

optimizers: options as makeOptimizer takes them, the rate of each step, and the parameters after each of five steps.
schedules: options as makeSchedule takes them, and the rates, of each epoch or of each of STEPS steps in each epoch. Of the plateau, the
accuracy after each epoch too.
"""
import json, os, sys
import torch
from torch.optim import SGD, Adam, AdamW
from torch.optim import lr_scheduler as S

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
torch.manual_seed(1)
SHAPES = {'conv1_1.weight': [3, 3, 2, 3], 'conv1_1.bias': [3], 'bn1_1.scale': [3], 'fc.weight': [5, 3], 'fc.bias': [3]}
START = {name: torch.randn(shape) for name, shape in SHAPES.items()}
GRADIENTS = [{name: torch.randn(shape) * 2 ** -step for name, shape in SHAPES.items()} for step in range(5)]
DECAYED = lambda name: len(SHAPES[name]) > 1
flat = lambda tensors: {name: [float(f'{x:.9g}') for x in tensors[name].detach().flatten().tolist()] for name in SHAPES}


def run(options, make, rates=(0.05,) * 5, groups=None, clip=None, shrink=0.0):
    """`groups` gives a name's options of its own; `shrink` is decoupled decay, which PyTorch's SGD does not have."""
    parameters = {name: torch.nn.Parameter(START[name].clone()) for name in SHAPES}
    own = groups or (lambda name: {})
    factors, described = [], []
    for name, parameter in parameters.items():
        extra = dict(own(name))
        factors.append(extra.pop('factor', 1))
        described.append({'params': [parameter], **extra})
    optimizer = make(described)
    after = []
    for rate, gradients in zip(rates, GRADIENTS):
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].clone()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        for group, factor in zip(optimizer.param_groups, factors):
            group['lr'] = rate * factor
            if shrink:
                with torch.no_grad():
                    for parameter in group['params']:
                        parameter.mul_(1 - rate * factor * shrink)
        optimizer.step()
        after.append(flat(parameters))
    return {'options': options, 'rates': list(rates), 'after': after}


RATES = (0.05, 0.1, 0.1, 0.02, 0.3)
optimizers = [
    run({'algorithm': 'sgd', 'momentum': 0}, lambda p: SGD(p, lr=1)),
    run({'algorithm': 'sgd', 'momentum': 0.9}, lambda p: SGD(p, lr=1, momentum=0.9), RATES),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'nesterov': True}, lambda p: SGD(p, lr=1, momentum=0.9, nesterov=True), RATES),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'weightDecay': 5e-2}, lambda p: SGD(p, lr=1, momentum=0.9, weight_decay=5e-2)),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'nesterov': True, 'weightDecay': 5e-2, 'decayBiases': False},
        lambda p: SGD(p, lr=1, momentum=0.9, nesterov=True), groups=lambda name: {'weight_decay': 5e-2 if DECAYED(name) else 0}),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'weightDecay': 5e-2, 'decay': 'decoupled'}, lambda p: SGD(p, lr=1, momentum=0.9), RATES, shrink=5e-2),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'clipNorm': 1.5}, lambda p: SGD(p, lr=1, momentum=0.9), clip=1.5),
    run({'algorithm': 'sgd', 'momentum': 0.9, 'weightDecay': 1e-2,
         'groups': [{'match': 'conv1_1.*', 'rate': 0.1}, {'match': '*.bias', 'rate': 2, 'weightDecay': 0}]},
        lambda p: SGD(p, lr=1, momentum=0.9, weight_decay=1e-2), RATES,
        groups=lambda name: {'factor': 0.1} if name.startswith('conv1_1.') else {'factor': 2, 'weight_decay': 0} if name.endswith('.bias') else {}),
    run({'algorithm': 'adam'}, lambda p: Adam(p, lr=1), RATES),
    run({'algorithm': 'adam', 'beta1': 0.8, 'beta2': 0.95, 'epsilon': 1e-3}, lambda p: Adam(p, lr=1, betas=(0.8, 0.95), eps=1e-3)),
    run({'algorithm': 'adam', 'weightDecay': 5e-2}, lambda p: Adam(p, lr=1, weight_decay=5e-2)),
    run({'algorithm': 'adam', 'clipNorm': 0.5}, lambda p: Adam(p, lr=1), clip=0.5),
    run({'algorithm': 'adamw'}, lambda p: AdamW(p, lr=1), RATES),
    run({'algorithm': 'adamw', 'weightDecay': 0.2, 'decayBiases': False}, lambda p: AdamW(p, lr=1),
        groups=lambda name: {'weight_decay': 0.2 if DECAYED(name) else 0}),
]

BASE, EPOCHS, STEPS = 0.1, 14, 4


def schedule(options, make, per_step=False):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler, rates = make(optimizer), []
    for _ in range(EPOCHS * STEPS if per_step else EPOCHS):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return {'options': options, 'rates': rates}


def warm(optimizer, length, after):
    return S.SequentialLR(optimizer, [S.LinearLR(optimizer, start_factor=0.1, total_iters=length), after], milestones=[length])


WARMUP = {'length': 3, 'from': 0.1}
schedules = [
    schedule({'kind': 'constant'}, lambda o: S.ConstantLR(o, factor=1)),
    schedule({'kind': 'step', 'length': 4, 'gamma': 0.5}, lambda o: S.StepLR(o, 4, gamma=0.5)),
    schedule({'kind': 'step', 'length': 4}, lambda o: S.StepLR(o, 4)),
    schedule({'kind': 'step', 'length': 3, 'by': 'step'}, lambda o: S.StepLR(o, 3 * STEPS), per_step=True),
    schedule({'kind': 'multi-step', 'at': [2, 7, 8], 'gamma': 0.3}, lambda o: S.MultiStepLR(o, [2, 7, 8], gamma=0.3)),
    schedule({'kind': 'cosine', 'length': 14, 'floor': 0.001}, lambda o: S.CosineAnnealingLR(o, 14, eta_min=0.001)),
    schedule({'kind': 'cosine', 'length': 14, 'by': 'step'}, lambda o: S.CosineAnnealingLR(o, 14 * STEPS), per_step=True),
    schedule({'kind': 'constant', 'warmup': WARMUP}, lambda o: S.LinearLR(o, start_factor=0.1, total_iters=3)),
    schedule({'kind': 'cosine', 'length': 11, 'warmup': WARMUP}, lambda o: warm(o, 3, S.CosineAnnealingLR(o, 11))),
    schedule({'kind': 'cosine', 'length': 11, 'by': 'step', 'warmup': WARMUP},
             lambda o: warm(o, 3 * STEPS, S.CosineAnnealingLR(o, 11 * STEPS)), per_step=True),
    schedule({'kind': 'step', 'length': 4, 'warmup': WARMUP}, lambda o: warm(o, 3, S.StepLR(o, 4))),
]


def plateau(options, accuracies, **kept):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler, rates = S.ReduceLROnPlateau(optimizer, mode='max', threshold_mode='abs', eps=0, **kept), []
    for accuracy in accuracies:
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step(accuracy)
    return {'options': options, 'rates': rates, 'accuracies': accuracies}


ACCURACIES = [0.1, 0.3, 0.5, 0.5, 0.49, 0.48, 0.6, 0.6, 0.6, 0.61, 0.59, 0.58, 0.57, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
schedules += [
    plateau({'kind': 'plateau', 'patience': 1, 'most': 99}, ACCURACIES, patience=1, threshold=0),
    plateau({'kind': 'plateau', 'patience': 2, 'gamma': 0.5, 'minDelta': 0.015, 'most': 99}, ACCURACIES, patience=2, factor=0.5, threshold=0.015),
    plateau({'kind': 'plateau', 'patience': 0, 'most': 99}, ACCURACIES, patience=0, threshold=0),
]

with open(os.path.join(out, 'torch.json'), 'w') as file:
    json.dump({
        'torch': torch.__version__,
        'shapes': SHAPES,
        'start': flat(START),
        'gradients': [flat(each) for each in GRADIENTS],
        'optimizers': optimizers,
        'stepsPerEpoch': STEPS,
        'base': BASE,
        'schedules': schedules,
    }, file)
    file.write('\n')
