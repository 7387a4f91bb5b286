// The type in which each tensor is written.
#pragma once

#include <optional>
#include <string_view>

#include "weights/checkpoint.h"
#include "weights/gguf_writer.h"

namespace tempera {

enum class OutputKind : uint8_t { folder, safetensors, gguf };

class TensorTypes {
 public:
  // `dtype` as in ConvertOptions. Throws Error(invalid_argument) for types that do not exist or that this kind of file
  // does not have.
  TensorTypes(std::string_view dtype, OutputKind kind);

  // Sets spec.dtype and spec.blocks for a tensor of a component with the dimensions of `spec`. `stored`: the tensor in
  // the source. is_changed: other values are written than the stored ones. Throws Error(invalid_argument) if the stored
  // type is kept and cannot be written; `origin` names the tensor.
  void set(GgufSpec& spec, std::string_view component, const CheckpointTensor& stored, bool is_changed,
           std::string_view origin) const;

 private:
  OutputKind kind_;
  std::optional<DType> dtype_;         // of all other tensors; nothing: as stored
  bool fp8_ = false;                   // matrices and convolutions of the UNet
  const BlockType* blocks_ = nullptr;  // matrices of the UNet
};

}  // namespace tempera
