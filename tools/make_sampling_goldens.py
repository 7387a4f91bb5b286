#!/usr/bin/env python3
"""Makes tests/data/sampling/*.json: results of diffusers and PyTorch for the sampling layer.

usage: make_sampling_goldens.py OUT_DIR      (with torch, scipy and diffusers importable)

samplers.json  for many configurations and step counts: the timesteps, the sigmas, and two numbers after every
               evaluation of a stand-in for the UNet (fake_model below; both are mirrored in src/sampling/golden_test.cpp)
noise.json     a few values of torch.randn after successive calls of different lengths, on the CPU and on a CUDA device
               if there is one (the committed file: PyTorch 2.11, H100)
"""
import inspect
import json
import sys

import diffusers.schedulers as D
import torch

SDXL = dict(beta_start=0.00085, beta_end=0.012, beta_schedule='scaled_linear')
LEADING = dict(timestep_spacing='leading', steps_offset=1)
TRAILING = dict(timestep_spacing='trailing')
ZERO_SNR = dict(prediction_type='v_prediction', rescale_betas_zero_snr=True, **TRAILING)
V = dict(prediction_type='v_prediction')
SAMPLE = dict(prediction_type='sample')
KARRAS, EXPONENTIAL, BETA = (dict([(f'use_{k}_sigmas', True)]) for k in ('karras', 'exponential', 'beta'))
COSINE = dict(beta_schedule='squaredcos_cap_v2')
MIN = dict(final_sigmas_type='sigma_min')
NO_CLIP = dict(clip_sample=False)


def case(cls, steps, *options, first=0, eta=None):
    config = dict(SDXL)
    for option in options:
        config.update(option)
    return cls, steps, config, first, eta


def cases():
    E, A, H, L = 'EulerDiscreteScheduler', 'EulerAncestralDiscreteScheduler', 'HeunDiscreteScheduler', 'LMSDiscreteScheduler'
    K, KA = 'KDPM2DiscreteScheduler', 'KDPM2AncestralDiscreteScheduler'
    for cls in (E, A, H, L, K, KA):   # the samplers that step in sigma
        yield case(cls, 1, LEADING)
        yield case(cls, 2)
        yield case(cls, 9)
        yield case(cls, 6, TRAILING, V)
        yield case(cls, 5, dict(beta_schedule='linear'), LEADING)
        if cls != KA:
            yield case(cls, 6, COSINE)   # not finite in float32
        yield case(cls, 8, LEADING, first=0 if cls == L else 4)   # LMS: see schedule.h
        if cls not in (A, K, KA):
            yield case(cls, 5, SAMPLE)
        if cls != A:
            for spacing in (KARRAS, EXPONENTIAL, BETA):
                yield case(cls, 7, spacing, LEADING)
    yield case(E, 6, dict(trained_betas=[0.001 * (i + 1) for i in range(20)], num_train_timesteps=20))
    yield case(E, 6, ZERO_SNR)
    yield case(A, 6, ZERO_SNR)
    yield case(E, 6, MIN)
    yield case(E, 6, KARRAS, MIN, dict(sigma_min=0.1, sigma_max=10.0))
    yield case(E, 6, dict(interpolation_type='log_linear'))
    yield case(E, 6, dict(timestep_type='continuous'), V, KARRAS)
    yield case(E, 40, TRAILING)

    for cls, extra in (('DDIMScheduler', NO_CLIP), ('DDPMScheduler', NO_CLIP), ('PNDMScheduler', dict(skip_prk_steps=True))):
        yield case(cls, 1, extra)
        yield case(cls, 5, extra)
        yield case(cls, 7, extra, TRAILING, V)
        yield case(cls, 6, extra, LEADING)
        yield case(cls, 6, extra, dict(timestep_spacing='linspace'), V)
        yield case(cls, 8, extra, LEADING, first=3)
        if cls != 'PNDMScheduler':
            yield case(cls, 6, extra, SAMPLE)
        if cls != 'PNDMScheduler':
            yield case(cls, 6, extra, ZERO_SNR)
    yield case('DDIMScheduler', 6, NO_CLIP, LEADING, eta=0.7)
    yield case('DDIMScheduler', 6, NO_CLIP, LEADING, dict(set_alpha_to_one=False))
    for variance in ('fixed_small_log', 'fixed_large'):
        yield case('DDPMScheduler', 5, NO_CLIP, dict(variance_type=variance))
    yield case('PNDMScheduler', 9)
    yield case('PNDMScheduler', 4, LEADING, V)
    yield case('PNDMScheduler', 6, dict(skip_prk_steps=True, set_alpha_to_one=True))

    M, S = 'DPMSolverMultistepScheduler', 'DPMSolverSinglestepScheduler'
    for cls in (M, S):
        for order in (1, 2, 3):
            for algorithm in ('dpmsolver++', 'sde-dpmsolver++', 'dpmsolver', 'sde-dpmsolver'):
                if algorithm == 'sde-dpmsolver' and (cls == S or order == 3):
                    continue
                final = MIN if not algorithm.endswith('++') else {}
                options = dict(solver_order=order, algorithm_type=algorithm)
                yield case(cls, 7 if order < 3 else 9, options, final)
                if order > 1:
                    yield case(cls, 8, options, final, dict(solver_type='heun'), V)
        yield case(cls, 16, dict(solver_order=3), MIN)
        yield case(cls, 17, dict(solver_order=2))
        yield case(cls, 1)
        yield case(cls, 6, SAMPLE, MIN, dict(algorithm_type='deis', solver_type='bh2'))
        for spacing in (KARRAS, EXPONENTIAL, BETA):
            yield case(cls, 6, spacing)
        yield case(cls, 6, KARRAS, MIN, COSINE)
        yield case(cls, 8, first=3)
        yield case(cls, 9, dict(solver_order=3), first=4)
        yield case(cls, 6, COSINE, dict(lambda_min_clipped=-5.1))
    yield case(S, 8, dict(lower_order_final=True))
    yield case(S, 12, dict(solver_order=3, lower_order_final=True), MIN)
    yield case(S, 11, dict(solver_order=3, lower_order_final=True), MIN)
    yield case(M, 6, dict(use_lu_lambdas=True))
    yield case(M, 16, dict(euler_at_final=True), MIN)
    yield case(M, 6, dict(lower_order_final=False), LEADING)
    yield case(M, 7, ZERO_SNR)
    yield case(M, 7, TRAILING)

    U = 'UniPCMultistepScheduler'
    for order in (1, 2, 3):
        yield case(U, 7, dict(solver_order=order))
        yield case(U, 7, dict(solver_order=order, solver_type='bh1'), MIN)
        yield case(U, 7, dict(solver_order=order, predict_x0=False), V, MIN)
    yield case(U, 1)
    yield case(U, 6, dict(disable_corrector=[0, 2]))
    yield case(U, 6, dict(lower_order_final=False), MIN, LEADING)
    yield case(U, 6, ZERO_SNR)
    yield case(U, 6, SAMPLE, TRAILING)
    yield case(U, 8, dict(solver_order=3), LEADING, first=3)
    for spacing in (KARRAS, EXPONENTIAL, BETA):
        yield case(U, 6, spacing)
    yield case(U, 6, KARRAS, dict(sigma_min=0.1, sigma_max=10.0))

    D = 'DEISMultistepScheduler'
    for order in (1, 2, 3):
        yield case(D, 7, dict(solver_order=order), LEADING)
    yield case(D, 16, dict(solver_order=3), V)
    yield case(D, 1)
    yield case(D, 6, SAMPLE, TRAILING)
    yield case(D, 8, dict(solver_order=3), LEADING, first=3)
    yield case(D, 6, dict(lower_order_final=False))
    for spacing in (KARRAS, EXPONENTIAL, BETA):
        yield case(D, 6, spacing)

    for cls, etas in (('LCMScheduler', [None]), ('TCDScheduler', [0.0, 0.3, 1.0])):
        for eta in etas:
            yield case(cls, 1, eta=eta)
            yield case(cls, 4, eta=eta)
            yield case(cls, 7, V, eta=eta)
            yield case(cls, 6, SAMPLE, dict(original_inference_steps=100), eta=eta)
        yield case(cls, 8, first=3, eta=etas[-1])
        yield case(cls, 6, dict(prediction_type='v_prediction', rescale_betas_zero_snr=True), eta=etas[-1])


draws = 0


def fake_noise(shape, **_):
    global draws
    draws += 1
    return torch.sin(draws * torch.tensor([1.0, 2.5])).reshape(shape)


def fake_model(x, t):
    return 0.3 * x / (1 + x.abs()) + 0.01 * torch.sin(3 * x) * float(t) / 1000


def rounded(values, digits):
    return [float(f'{float(v):.{digits}g}') for v in values]


def run(cls, steps, config, first, eta):
    global draws
    draws = 0
    Class = getattr(D, cls)
    sys.modules[Class.__module__].randn_tensor = fake_noise
    s = Class(**config)
    s.set_timesteps(steps)
    if hasattr(s, 'set_begin_index'):
        s.set_begin_index(first)
    x = torch.tensor([1.2, -0.7]).reshape(1, 1, 1, 2) * s.init_noise_sigma
    takes = inspect.signature(s.step).parameters
    options = dict(eta=eta) if eta is not None else {}
    if 'eta' in takes and eta is None:
        options = dict(eta=0.0)
    trace = []
    for t in s.timesteps[first:]:
        e = fake_model(s.scale_model_input(x, t), t)
        x = s.step(e, t, x, **options).prev_sample
        trace.append(x)
    trace = torch.stack(trace).flatten()
    if not torch.isfinite(trace).all():
        raise ValueError('not finite')
    return dict(config={'_class_name': cls, **config}, steps=steps, first=first, eta=options.get('eta', 0.0),
                timesteps=rounded(s.timesteps[first:], 9), sigmas=rounded(s.sigmas, 9) if hasattr(s, 'sigmas') else [],
                init_noise_sigma=float(s.init_noise_sigma), draws=draws, trace=rounded(trace, 7))


def noise(device, lengths):
    calls = []
    g = torch.Generator(device).manual_seed(2 ** 40 + 77)
    for n in lengths:
        x = torch.randn(n, generator=g, device=device).cpu()
        at = sorted({i for i in (0, 1, n // 3, n // 2, 270335, 270336, 270337, 1081344, n - 2, n - 1) if 0 <= i < n})
        calls.append(dict(length=n, at=at, values=[float(f'{float(x[i]):.9g}') for i in at]))
    return dict(seed=2 ** 40 + 77, calls=calls)


def main():
    out = sys.argv[1]
    rows = []
    for c in cases():
        try:
            rows.append(run(*c))
        except Exception as error:
            print('left out:', c, type(error).__name__, error)
    with open(f'{out}/samplers.json', 'w') as f:
        f.write('[\n' + ',\n'.join(json.dumps(r) for r in rows) + '\n]\n')
    generators = dict(cpu=noise('cpu', [5, 20, 3, 16, 33, 1, 1000]))
    if torch.cuda.is_available():
        generators['cuda'] = noise('cuda', [7, 5, 1000, 300000, 1200000, 9])
    with open(f'{out}/noise.json', 'w') as f:
        json.dump(generators, f, indent=1)
    print(len(rows), 'sampler rows')


main()
