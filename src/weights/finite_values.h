// Elements of weights that are NaN or infinite: a file that is damaged, or one of a training that failed.
#pragma once

#include <string>

#include "weights/checkpoint.h"

namespace tempera {

// "3 NaN and 1 infinite elements of 320"; empty if all elements are finite. Reads the whole tensor.
std::string fault_in_values(const CheckpointTensor& tensor);

// The first tensor with such elements, in the order of names(): "'conv_in.bias' in '/models/x.safetensors' has 3 NaN
// and 1 infinite elements of 320". Empty if there is none. Tensors that cannot be read are left out.
std::string damaged_tensor(const Checkpoint& weights);

}  // namespace tempera
