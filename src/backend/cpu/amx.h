// AMX: whether tiles can be used here. The processor must have them, and Linux must allow them to the process, which
// must request this.
#pragma once

namespace tempera {

// The value of ONEDNN_MAX_CPU_ISA, oneDNN's variable that limits its instruction sets; null if it is not set.
const char* instruction_limit();

// Whether products of bf16 in tiles run here, together with AVX-512 with bf16. Checked once per process. A limit below
// AMX also disables them in tempera's own kernels.
bool has_amx();

}  // namespace tempera
