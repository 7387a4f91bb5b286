// AMX: whether tiles can be used here. The processor has to have them, and Linux gives their state to a process that
// asks.
#pragma once

namespace tempera {

// oneDNN's variable that limits the instructions it takes (ONEDNN_MAX_CPU_ISA), null where it is not set.
const char* instruction_limit();

// Whether products of bf16 in tiles run here, beside AVX-512 with bf16; asked once per process. A limit that does not
// name AMX rules them out in our own kernels too.
bool has_amx();

}  // namespace tempera
