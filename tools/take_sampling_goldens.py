#!/usr/bin/env python3
"""Makes tests/data/sampling/further_samplers.json: a few numbers of diffusers' results for further configurations.

usage: take_sampling_goldens.py REFERENCE OUT_DIR      (with numpy; REFERENCE is the folder of the reference data)

The reference drove each sampler with a stand-in for the UNet from torch's noise of seed 5, on 4 x 6 x 10 latents. A row
has the configuration, the timesteps and sigmas of 7 steps, and the
elements `at` of the latents after every evaluation.
"""
import json
import struct
import sys

import numpy as np

STEPS = 7
AT = [0, 59, 60, 131, 239]


def tensors(path):
    with open(path, 'rb') as file:
        length = struct.unpack('<Q', file.read(8))[0]
        header = json.loads(file.read(length))
        data = file.read()
    for name, entry in header.items():
        if name != '__metadata__':
            begin, end = entry['data_offsets']
            yield name, np.frombuffer(data[begin:end], np.float32).reshape(entry['shape'])


def rounded(values, digits):
    return [float(f'{float(v):.{digits}g}') for v in values]


def main():
    reference, out = sys.argv[1:3]
    parts = dict(tensors(f'{reference}/dev/more/parts_samplers.safetensors'))
    with open(f'{reference}/dev/more/schedulers.json') as file:
        schedulers = json.load(file)
    rows = []
    for name, scheduler in schedulers.items():
        prefix = f'sched.{name}.{STEPS}.'
        if prefix + 'trace' not in parts:
            continue
        config = {k: v for k, v in scheduler['config'].items() if v is not None and v != -np.inf}
        trace = parts[prefix + 'trace'].reshape(len(parts[prefix + 'trace']), -1)
        rows.append(dict(name=name, config={'_class_name': scheduler['cls'], **config}, steps=STEPS,
                         timesteps=rounded(parts[prefix + 'timesteps'], 9),
                         sigmas=rounded(parts.get(prefix + 'sigmas', []), 9),
                         at=AT, trace=[rounded(x[AT], 7) for x in trace]))
    with open(f'{out}/further_samplers.json', 'w') as file:
        file.write('[\n' + ',\n'.join(json.dumps(row) for row in rows) + '\n]\n')
    print(len(rows), 'sampler rows')


main()
