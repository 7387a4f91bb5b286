// The differences between oneDNN 2.6 (operation descriptors) and 3.x (primitive descriptors built at once) are here.
// All other files of this folder compile with both. Only this one checks the version.
#pragma once

#include <dnnl.hpp>

#include "backend/cpu/packing/packing.h"

namespace tempera::onednn {

using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;

// weights of format `any` get the layout of the implementation. An empty `bias` means none. Throw dnnl::error when no
// implementation exists.
dnnl::matmul::primitive_desc matmul_descriptor(const dnnl::engine& engine, const Desc& src, const Desc& weights,
                                               const Desc& bias, const Desc& dst, const dnnl::primitive_attr& attr);
dnnl::convolution_forward::primitive_desc convolution_descriptor(const dnnl::engine& engine, const Desc& src,
                                                                 const Desc& weights, const Desc& bias, const Desc& dst,
                                                                 const Dims& strides, const Dims& pad_before,
                                                                 const Dims& pad_after,
                                                                 const dnnl::primitive_attr& attr);

void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha);

// Throws Error(internal) for a layout that is not plain blocking.
Blocking blocking_of(const Desc& desc);

}  // namespace tempera::onednn
