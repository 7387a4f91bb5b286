// The table without a card: every node of SDXL's graphs has a row in every type, and the scratch memory of rows is as
// computed by hand.
#include "backend/cuda/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "passes/passes.h"
#include "program/program.h"

namespace tempera {
namespace {

std::vector<Graph> sdxl_graphs(DType dtype, bool rescale) {
  const ModelConfig model = preset("sdxl-base");
  DenoiseGraphOptions denoise;
  denoise.images = denoise.guided = 4;
  denoise.guidance_rescale = rescale;
  denoise.thresholding = rescale;
  denoise.slots = 3;
  denoise.unet.dtype = dtype;
  std::vector<Graph> graphs;
  graphs.push_back(clip_text_graph(*model.text_encoder, {.dtype = dtype}));
  graphs.push_back(clip_text_graph(model.text_encoder_2, {.pooled = true, .dtype = dtype}));
  graphs.push_back(denoise_graph(model.unet, denoise));
  graphs.push_back(vae_decoder_graph(model.vae, {.dtype = dtype}));
  graphs.push_back(vae_encoder_graph(model.vae, {.dtype = dtype}));
  TinyVaeConfig tiny;
  tiny.decoder_block_out_channels = {64, 64, 64, 64};
  tiny.num_decoder_blocks = {3, 3, 3, 1};
  graphs.push_back(tiny_vae_decoder_graph(tiny, {.dtype = dtype}));
  graphs.push_back(clip_text_graph(model.text_encoder_2, {.pooled = true, .extra_tokens = 75, .dtype = dtype}));
  return graphs;
}

// The rows that run a graph's nodes.
std::set<std::string_view> rows_of(const Graph& graph, const LowerOptions& options = {}) {
  std::set<std::string_view> rows;
  for (const Step& step : lower(graph, cuda_target(), options).steps)
    rows.insert(cuda_target().kernels[step.kernel]->name);
  return rows;
}

TEST(CudaTable, RunsEveryNodeOfSdxlInEveryType) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    for (const bool rescale : {false, true})
      for (const Graph& graph : sdxl_graphs(dtype, rescale)) {
        EXPECT_NO_THROW(rows_of(graph, {{}, false, true})) << graph.name() << " " << name(dtype);
        EXPECT_NO_THROW(rows_of(optimize(graph))) << graph.name() << " " << name(dtype);
      }
}

TEST(CudaTable, TakesTheFastRows) {
  const Graph unet = optimize(std::move(sdxl_graphs(DType::f16, false)[2]));
  const auto rows = rows_of(unet);
  EXPECT_TRUE(rows.contains("attention/flash"));
  EXPECT_FALSE(rows.contains("attention/naive"));
  int cudnn = 0, narrow = 0, direct = 0;
  for (const Step& step : lower(unet, cuda_target()).steps) {
    cudnn += cuda_target().kernels[step.kernel]->name == "conv2d/cudnn" ? 1 : 0;
    narrow += cuda_target().kernels[step.kernel]->name.starts_with("conv2d/few_") ? 1 : 0;
    direct += cuda_target().kernels[step.kernel]->name == "conv2d/direct" ? 1 : 0;
  }
  EXPECT_EQ(narrow, 2);  // from and to four channels
  EXPECT_EQ(direct, 0);
  EXPECT_GT(cudnn, 30);
}

// The downsamplers have paddings on one side only.
TEST(CudaTable, TakesTheFastRowsForTheEncoder) {
  const auto rows = rows_of(optimize(std::move(sdxl_graphs(DType::f16, false)[4])));
  EXPECT_TRUE(rows.contains("conv2d/cudnn"));
  EXPECT_FALSE(rows.contains("conv2d/direct"));
}

// The conditioning is concatenated. Skip connections are not, except the largest one if that saves memory.
TEST(CudaTable, ReadsSkipConnectionsInPlace) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const Graph unet = optimize(std::move(sdxl_graphs(dtype, false)[2]));
    const auto concats =
        std::ranges::count_if(unet.nodes(), [](const Node& node) { return kind_of(node.op) == OpKind::concat; });
    EXPECT_EQ(concats, dtype == DType::bf16 ? 1 : 2) << name(dtype);
  }
}

const KernelInfo& row(std::string_view name) {
  for (const KernelInfo* info : cuda_target().kernels)
    if (info->name == name) return *info;
  throw std::runtime_error("no such row");
}

Problem problem(const Op& op, std::vector<TensorDesc> inputs) {
  Problem p{op, std::move(inputs), {}};
  p.output = infer(p.op, p.inputs);
  return p;
}

TEST(CudaTable, PromisesScratchMemory) {
  constexpr DType h = DType::f16;
  const Problem attention = problem(Attention{10, 0.125f, false, Attention::Packing::qkv}, {{h, {2, 4096, 1920}}});
  EXPECT_EQ(row("attention/flash").workspace(attention), size_t{0});
  // The scores of four of the heads at a time.
  EXPECT_EQ(row("attention/naive").workspace(attention), size_t{4} * 4096 * 4096 * 2 + kCudaLibraryWorkspace);
  const Problem geglu = problem(GegluLinear{false}, {{h, {2, 8, 64}}, {h, {512, 64}}});
  EXPECT_EQ(row("geglu_linear/gemm").workspace(geglu), size_t{2} * 8 * 512 * 2 + kCudaLibraryWorkspace);
  // 128 x 128 x 320 in chunks of 32768 elements, 103 pixels each.
  const TensorDesc channels{DType::f32, {320}};
  const Problem norm = problem(GroupNorm{}, {{h, {2, 128, 128, 320}}, channels, channels});
  EXPECT_EQ(row("group_norm/cuda").workspace(norm), size_t{2} * 32 * (1 + 160) * 2 * sizeof(float));
}

TEST(CudaTable, RefusesWhatItsKernelsCannotRun) {
  const TensorDesc wide{DType::f32, {8192}};
  EXPECT_TRUE(row("group_norm/cuda").refuse(problem(GroupNorm{}, {{DType::f16, {1, 2, 2, 8192}}, wide, wide})));
  const auto conv = [](int64_t in, int64_t out, Conv2d op) {
    return problem(op, {{DType::f16, {1, 8, 8, in}}, {DType::f16, {out, in, op.kernel, op.kernel}}});
  };
  const Conv2d three{3, 1, 1, 1, false}, uneven{3, 2, 0, 1, false}, one{1, 1, 0, 0, false};
  EXPECT_FALSE(row("conv2d/cudnn").refuse(conv(64, 64, three)));
  EXPECT_TRUE(row("conv2d/cudnn").refuse(conv(4, 64, three)));
  EXPECT_FALSE(row("conv2d/cudnn").refuse(conv(64, 64, uneven)));
  EXPECT_FALSE(row("conv2d/few_inputs").refuse(conv(9, 64, three)));
  EXPECT_TRUE(row("conv2d/few_inputs").refuse(conv(10, 64, three)));
  EXPECT_TRUE(row("conv2d/few_inputs").refuse(conv(4, 64, {3, 1, 0, 1, false})));
  EXPECT_TRUE(row("conv2d/gemm").refuse(conv(64, 64, three)));
  EXPECT_FALSE(row("conv2d/gemm").refuse(conv(3, 5, one)));
  EXPECT_FALSE(row("conv2d/direct").refuse(conv(3, 5, uneven)));
}

}  // namespace
}  // namespace tempera
