#include "backend/cpu/onednn/api.h"

#include <string_view>

#include "base/error.h"

namespace tempera::onednn {

#if DNNL_VERSION_MAJOR >= 3

dnnl::matmul::primitive_desc matmul_descriptor(const dnnl::engine& engine, const Desc& src, const Desc& weights,
                                               const Desc& bias, const Desc& dst, const dnnl::primitive_attr& attr) {
  return {engine, src, weights, bias, dst, attr};
}

dnnl::convolution_forward::primitive_desc convolution_descriptor(const dnnl::engine& engine, const Desc& src,
                                                                 const Desc& weights, const Desc& bias, const Desc& dst,
                                                                 const Dims& strides, const Dims& pad_before,
                                                                 const Dims& pad_after,
                                                                 const dnnl::primitive_attr& attr) {
  return {engine,
          dnnl::prop_kind::forward_inference,
          dnnl::algorithm::convolution_direct,
          src,
          weights,
          bias,
          dst,
          strides,
          pad_before,
          pad_after,
          attr};
}

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(algorithm, alpha, 0.0f);
}

Blocking blocking_of(const Desc& desc) {
  TEMPERA_ASSERT(desc.get_format_kind() == dnnl::memory::format_kind::blocked);
  return {desc.get_padded_dims(), desc.get_strides(), desc.get_inner_blks(), desc.get_inner_idxs()};
}

#else

dnnl::matmul::primitive_desc matmul_descriptor(const dnnl::engine& engine, const Desc& src, const Desc& weights,
                                               const Desc& bias, const Desc& dst, const dnnl::primitive_attr& attr) {
  dnnl::matmul::primitive_desc descriptor(dnnl::matmul::desc(src, weights, bias, dst), attr, engine);
  // oneDNN rounds a depth of 32 n + 31 up to whole blocks. For the last block it does not configure the tiles again if
  // rows or columns have a remainder, which gives an illegal instruction (oneDNN's issue 1661). No layer of a model has
  // such a depth, but tests do.
  if (src.data.dims[1] % 32 == 31)
    while (std::string_view(descriptor.impl_info_str()).find("amx") != std::string_view::npos)
      if (!descriptor.next_impl()) throw dnnl::error(dnnl_unimplemented, "no product of this depth without AMX");
  return descriptor;
}

dnnl::convolution_forward::primitive_desc convolution_descriptor(const dnnl::engine& engine, const Desc& src,
                                                                 const Desc& weights, const Desc& bias, const Desc& dst,
                                                                 const Dims& strides, const Dims& pad_before,
                                                                 const Dims& pad_after,
                                                                 const dnnl::primitive_attr& attr) {
  const dnnl::convolution_forward::desc operation(dnnl::prop_kind::forward_inference,
                                                  dnnl::algorithm::convolution_direct, src, weights, bias, dst, strides,
                                                  pad_before, pad_after);
  return {operation, attr, engine};
}

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha) {
  ops.append_eltwise(1.0f, algorithm, alpha, 0.0f);
}

Blocking blocking_of(const Desc& desc) {
  const dnnl_memory_desc_t& d = desc.data;
  TEMPERA_ASSERT(d.format_kind == dnnl_blocked && d.offset0 == 0 && d.extra.flags == 0);
  const dnnl_blocking_desc_t& b = d.format_desc.blocking;
  return {Dims(d.padded_dims, d.padded_dims + d.ndims), Dims(b.strides, b.strides + d.ndims),
          Dims(b.inner_blks, b.inner_blks + b.inner_nblks), Dims(b.inner_idxs, b.inner_idxs + b.inner_nblks)};
}

#endif

}  // namespace tempera::onednn
