// Instruction sets of tempera's own kernels: AVX2, AVX-512, and the baseline for other processors. Other sets of
// Highway are not faster here, and each costs compile time. Include this before any header of Highway.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3_ZEN4 | HWY_AVX3_SPR)
#include "hwy/detect_targets.h"
// Older versions of Highway do not define the last two.
#ifndef HWY_AVX3_ZEN4
#define HWY_AVX3_ZEN4 0
#endif
#ifndef HWY_AVX3_SPR
#define HWY_AVX3_SPR 0
#endif
